import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Supervisor } from '../../src/supervisor/supervisor.ts';
import { appSpec, clusterSpec } from '../fakes/app-spec.ts';
import { crashes, serves, stubborn, turn, waits } from '../fakes/ports.ts';
import { Supervised, told } from '../fakes/supervised.ts';

async function started(spec = appSpec()): Promise<Supervised> {
  const it = new Supervised(spec);
  await it.run('start');
  return it;
}

describe('a crash', () => {
  test('is followed by a new process', async () => {
    const it = await started();
    it.launcher.of(0).exit(1);
    await it.clock.advance(0);
    assert.deepEqual(it.states, ['online']);
    assert.deepEqual(
      it.launcher.processes.map(({ alive }) => alive),
      [false, true],
    );
    const { restarts, lastExit } = it.snapshot();
    assert.deepEqual([restarts, lastExit?.code, lastExit?.reason], [1, 1, 'exited with code 1']);
  });

  test('waits for as long as was wanted', async () => {
    const it = await started(appSpec({ restart: { delayMs: 300 } }));
    it.launcher.of(0).exit(1);
    await it.clock.advance(299);
    assert.deepEqual(it.states, ['backoff']);
    await it.clock.advance(1);
    assert.deepEqual(it.states, ['online']);
  });

  test('is given up when it goes on and on', async () => {
    const it = new Supervised(appSpec({ restart: { maxRestarts: 4 } }));
    it.launcher.script = crashes;
    await it.run('start');
    await it.clock.advance(0);
    assert.deepEqual(it.states, ['errored']);
    assert.equal(it.launcher.processes.length, 4);
    assert.deepEqual([it.snapshot().unstable, it.snapshot().restarts], [4, 3]);
    it.launcher.script = serves;
    await it.run('start');
    assert.deepEqual([it.states, it.snapshot().unstable], [['online'], 0]);
  });

  test('is tried again all the same, at growing intervals, until a stable run', async () => {
    const it = new Supervised(appSpec({ restart: { maxRestarts: 1 } }));
    it.launcher.script = crashes;
    await it.run('start');
    const tries = () => it.launcher.processes.length;
    for (const [minutes, count] of [
      [1, 2],
      [2, 3],
      [4, 4],
    ] as const) {
      await it.clock.advance(minutes * 60_000 - 1);
      assert.deepEqual([it.states, tries()], [['errored'], count - 1]);
      await it.clock.advance(1);
      assert.deepEqual([it.states, tries()], [['errored'], count]);
    }
    it.launcher.script = serves;
    await it.clock.advance(8 * 60_000);
    assert.deepEqual(it.states, ['online']);
    // It was stable.
    await it.clock.advance(1000);
    it.launcher.of(0).exit(1);
    await it.clock.advance(0);
    assert.deepEqual([it.states, it.snapshot().unstable], [['online'], 0]);
    it.launcher.script = crashes;
    it.launcher.of(0).exit(1);
    await it.clock.advance(59_999);
    assert.equal(tries(), 6);
    await it.clock.advance(1);
    assert.equal(tries(), 7, 'it begins with a minute again');
  });

  test('the next try is where the next supervisor finds it, by the clock of whoever asks', async () => {
    const it = new Supervised(appSpec({ restart: { maxRestarts: 1 } }));
    it.launcher.script = crashes;
    await it.run('start');
    it.clock.ahead = 5000;
    const { state } = it.snapshot();
    assert.equal(state.kind === 'errored' && state.nextTryAt, it.clock.now() + 60_000 + 5000);
    await it.clock.advance(20_000);
    const next = new Supervisor(it.ports, () => {});
    await next.resume();
    it.launcher.script = serves;
    await it.clock.advance(39_999);
    assert.equal(it.launcher.alive.length, 0);
    await it.clock.advance(1);
    assert.equal(next.snapshot()[0]?.instances[0]?.state.kind, 'online');
  });

  test('of a process that is no longer the current one means nothing', async () => {
    const it = await started();
    const old = it.launcher.of(0);
    await it.run('restart');
    old.exit(1);
    old.emit({ kind: 'spawned', run: { ...old.run, pid: 9 } });
    assert.deepEqual(it.states, ['online']);
    assert.notEqual(it.supervisor.signal([0], 'SIGHUP')[0], 9);
  });
});

describe('timers', () => {
  test('do not outlive the state they were set in', async () => {
    const it = new Supervised(clusterSpec({ ready: { waitReady: true } }));
    it.launcher.script = waits;
    const start = await it.begin('start');
    assert.ok(it.clock.pending.includes(3000));
    it.launcher.of(0).emit({ kind: 'ready' });
    await start.outcomes;
    assert.deepEqual(it.clock.pending, []);
    await it.clock.advance(10_000);
    assert.deepEqual(it.states, ['online']);
  });

  test('of a run end with it, when the next one starts at once', async () => {
    const it = new Supervised(appSpec({ program: { runtime: 'other' } }));
    it.launcher.script = waits;
    await it.begin('start');
    await it.clock.advance(400);
    it.launcher.of(0).exit(1);
    await it.clock.advance(400);
    assert.deepEqual(it.states, ['starting'], 'the grace of the first run is not that of the second');
    await it.clock.advance(100);
    assert.deepEqual(it.states, ['online']);
  });
});

describe('what an instance listens on', () => {
  test('is told once each, and forgotten with the process', async () => {
    const it = await started(clusterSpec());
    it.launcher.of(0).emit({ kind: 'listening', address: '*:3000' });
    it.launcher.of(0).emit({ kind: 'listening', address: '*:3001' });
    assert.deepEqual(it.snapshot().listens, ['*:3000', '*:3001']);
    await it.run('stop');
    assert.deepEqual(it.snapshot().listens, []);
  });
});

describe('a pid file', () => {
  test('is there while the process is', async () => {
    const it = await started(appSpec({ instances: 2, pidFile: '/run/api-{id}.pid' }));
    const expected = [0, 1].map((id) => [`/run/api-${id}.pid`, it.launcher.of(id).pid] as const);
    assert.deepEqual([...it.ports.pidFilesWritten], expected);
    await it.run('stop');
    assert.equal(it.ports.pidFilesWritten.size, 0);
  });

  test('has the pid of the newest process', async () => {
    const it = await started(appSpec({ pidFile: '/run/api.pid' }));
    it.launcher.of(0).exit(1);
    assert.equal(it.ports.pidFilesWritten.get('/run/api.pid'), it.launcher.of(0).pid);
  });
});

describe('logs', () => {
  test('are one capture over all runs', async () => {
    const it = await started();
    await it.run('restart');
    it.launcher.of(0).exit(1);
    await it.clock.advance(0);
    assert.equal(it.launcher.processes.length, 3);
    assert.deepEqual(
      it.ports.logs.captures.map(({ closed }) => closed),
      [false],
    );
  });

  test('go to other files with a spec that says so', async () => {
    const it = await started();
    const { record } = it;
    it.record = { ...record, spec: { ...record.spec, logs: { ...record.spec.logs, out: '/logs/other.log' } } };
    await it.run('restart');
    assert.deepEqual(
      it.ports.logs.captures.map(({ closed, spec }) => [closed, spec.logs.out]),
      [
        [true, '/logs/api-out.log'],
        [false, '/logs/other.log'],
      ],
    );
  });
});

describe('lines that its logs lose', () => {
  test('are told with the instance, as soon as that changes', async () => {
    const it = await started();
    assert.equal(it.snapshot().lost, null);
    const [capture] = it.ports.logs.captures;
    const before = it.changes.length;
    capture?.lose({ lines: 3, because: 'no space left on the disk' });
    await turn();
    assert.deepEqual(it.snapshot().lost, { lines: 3, because: 'no space left on the disk' });
    assert.ok(it.changes.length > before);
  });
});

test('a restart with another spec ends the old run by the old one', async () => {
  const it = new Supervised(appSpec());
  it.launcher.script = stubborn;
  await it.run('start');
  const { record } = it;
  const logs = { ...record.spec.logs, error: '/logs/other.log' };
  const stop = { ...record.spec.stop, signal: 'SIGTERM', killTimeoutMs: 100, treekill: false };
  it.record = { ...record, spec: { ...record.spec, logs, stop } };
  const restart = await it.begin('restart');
  await it.clock.advance(1599);
  const old = it.launcher.of(0);
  assert.deepEqual([old.signals, it.states], [['SIGINT tree'], ['stopping']]);
  it.ports.logs.captures[0]?.write('my last words');
  await it.clock.advance(1);
  assert.deepEqual(told(await restart.outcomes), ['ok']);
  assert.deepEqual(old.signals, ['SIGINT tree', 'SIGKILL tree']);
  assert.deepEqual(
    it.ports.logs.captures.map((capture) => [capture.spec.logs.error, capture.stderrTail(), capture.closed]),
    [
      ['/logs/api-error.log', ['my last words'], true],
      ['/logs/other.log', [], false],
    ],
  );

  const ending = await it.begin('stop');
  await it.clock.advance(100);
  assert.deepEqual(told(await ending.outcomes), ['ok']);
  assert.deepEqual(it.launcher.of(0).signals, ['SIGTERM', 'SIGKILL']);
});
