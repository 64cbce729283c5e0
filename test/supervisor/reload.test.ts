import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Outcome } from '../../src/protocol/messages.ts';
import { appRecord, appSpec, clusterSpec } from '../fakes/app-spec.ts';
import { crashes, type FakeProcess, type ProcessScript, serves, stubborn, waits } from '../fakes/ports.ts';
import { Supervised, told } from '../fakes/supervised.ts';

const BUSY = { code: 'APP_BUSY', message: 'a reload of api is running' };

async function started(instances = 2): Promise<Supervised> {
  const it = new Supervised(clusterSpec({ instances, env: { BUILD: '1' } }));
  await it.run('start');
  it.record = appRecord(clusterSpec({ instances, env: { BUILD: '2' } }));
  return it;
}

const builds = (processes: readonly FakeProcess[]) =>
  processes.map(({ id, request }) => `${id}:${request.env['BUILD']}`);

describe('reload', () => {
  test('replaces every instance, under its id', async () => {
    const it = await started(3);
    assert.deepEqual(told(await it.reloaded()), ['ok', 'ok', 'ok']);
    assert.deepEqual(builds(it.launcher.alive), ['0:2', '1:2', '2:2']);
    assert.deepEqual(it.states, ['online', 'online', 'online']);
    assert.equal(it.snapshot(0).exits[0]?.reason, 'replaced by a reload');
    assert.deepEqual([it.snapshot(2).restarts, it.snapshot(2).generation], [1, 2]);
  });

  test('starts one at a time, and drains an old one only when the new one is ready', async () => {
    const it = await started(2);
    it.launcher.script = waits;
    const reload = await it.begin('reload');
    assert.deepEqual(builds(it.launcher.alive), ['0:1', '1:1', '0:2']);
    const [old] = it.launcher.processes;
    assert.equal(old?.asked, null);
    it.launcher.of(0).listen();
    await it.passTrial();
    assert.equal(old?.asked, 'SIGINT');
    assert.deepEqual(builds(it.launcher.alive), ['1:1', '0:2', '1:2']);
    it.launcher.of(1).listen();
    assert.deepEqual(told(await reload.outcomes), ['ok', 'ok']);
  });

  test('lets an old one drain while the next new one starts, and waits for it at the end', async () => {
    const it = new Supervised(clusterSpec({ instances: 2 }));
    it.launcher.script = stubborn;
    await it.run('start');
    it.launcher.script = serves;
    const reload = await it.begin('reload');
    await it.passTrial();
    assert.deepEqual(it.states, ['online+', 'online+']);
    assert.equal(reload.settled, false);
    const [first, second] = it.launcher.processes;
    assert.deepEqual(it.snapshot(0).draining, [first?.pid]);
    first?.exit();
    second?.exit();
    assert.deepEqual(told(await reload.outcomes), ['ok', 'ok']);
    assert.deepEqual(it.states, ['online', 'online']);
  });

  test('kills an old one that does not end', async () => {
    const it = new Supervised(clusterSpec());
    it.launcher.script = stubborn;
    await it.run('start');
    it.launcher.script = serves;
    const reload = await it.begin('reload');
    await it.passTrial();
    await it.clock.advance(31_599);
    assert.deepEqual([reload.settled, it.launcher.alive.length], [false, 2]);
    assert.ok(it.launcher.processes[0]?.drainEnded);
    await it.clock.advance(1);
    assert.deepEqual(told(await reload.outcomes), ['ok']);
    assert.equal(it.launcher.alive.length, 1);
  });

  test('of fork instances, and of those that do not serve, is a restart', async () => {
    const it = new Supervised(appSpec({ instances: 2 }));
    await it.run('start', [0]);
    assert.deepEqual(told(await it.reloaded()), ['ok', 'ok']);
    assert.deepEqual(it.states, ['online', 'online']);
    assert.deepEqual(
      it.launcher.processes.map(({ id }) => id),
      [0, 1, 0],
    );
  });

  test('holds the successor of one that listens to that', async () => {
    const it = await started(1);
    it.launcher.script = { ...waits, run: (process) => process.emit({ kind: 'main-ran' }) };
    const reload = await it.begin('reload');
    await it.clock.advance(29_999);
    assert.deepEqual([it.states, reload.settled], [['online'], false]);
    await it.clock.advance(1);
    assert.deepEqual(told(await reload.outcomes), ['was not ready within 30000 ms']);
    assert.deepEqual(builds(it.launcher.alive), ['0:1']);
  });

  test('of an app that is not known yet starts it', async () => {
    const it = new Supervised(clusterSpec({ instances: 2 }));
    assert.deepEqual(told(await it.reloaded()), ['ok', 'ok']);
    assert.deepEqual([it.states, it.launcher.alive.length], [['online', 'online'], 2]);
  });

  test('gives the pid file to the successor', async () => {
    const it = new Supervised(clusterSpec({ pidFile: '/run/api.pid' }));
    await it.run('start');
    await it.reloaded();
    assert.equal(it.ports.pidFilesWritten.get('/run/api.pid'), it.launcher.of(0).pid);
  });
});

const NOT_TRIED = 'not tried, as another failed: what is old serves on';

describe('the first new one is on trial', () => {
  async function onTrial(instances: number, more: Parameters<typeof clusterSpec>[0] = {}) {
    const it = await started(instances);
    it.record = appRecord(clusterSpec({ instances, env: { BUILD: '2' }, ...more }));
    const reload = await it.begin('reload');
    return { it, reload, fresh: it.launcher.of(0) };
  }

  test('beside its old one, and before the others start', async () => {
    const { it, reload, fresh } = await onTrial(3);
    fresh.emit({ kind: 'answered', status: 200 });
    await it.clock.advance(499);
    assert.deepEqual(builds(it.launcher.alive), ['0:1', '1:1', '2:1', '0:2']);
    assert.ok(fresh.admitted, 'it serves');
    await it.clock.advance(1);
    // Only the first: the others take over as soon as they are ready.
    assert.deepEqual(told(await reload.outcomes), ['ok', 'ok', 'ok']);
  });

  test('until it has settled, or answered without an error, or for two seconds', async () => {
    const { it, reload, fresh } = await onTrial(1);
    await it.clock.advance(1000);
    assert.equal(reload.settled, false);
    fresh.emit({ kind: 'answered', status: 404 });
    assert.deepEqual(told(await reload.outcomes), ['ok']);
    const settling = await it.begin('reload');
    await it.clock.advance(700);
    it.launcher.of(0).emit({ kind: 'settled' });
    assert.deepEqual(told(await settling.outcomes), ['ok']);
    const second = await it.begin('reload');
    it.launcher.of(0).emit({ kind: 'settled' });
    it.launcher.of(0).emit({ kind: 'answered', status: 500 });
    it.launcher.of(0).emit({ kind: 'answered', status: 200 });
    await it.clock.advance(1999);
    assert.equal(second.settled, false);
    await it.clock.advance(1);
    assert.deepEqual(told(await second.outcomes), ['ok']);
  });

  for (const instances of [1, 2])
    test(`of ${instances}: one that dies within its trial replaces nothing, and is not started again`, async () => {
      const { it, reload, fresh } = await onTrial(instances);
      await it.clock.advance(300);
      fresh.exit(0);
      const [first, ...others] = await reload.outcomes;
      assert.deepEqual(
        [first?.ok, first?.replaced, first?.hint?.startsWith('what is old serves on')],
        [false, false, true],
      );
      assert.deepEqual(
        told(others),
        Array.from(others, () => NOT_TRIED),
      );
      await it.clock.advance(60_000);
      assert.deepEqual(
        it.launcher.alive.map(({ request }) => request.env['BUILD']),
        Array.from({ length: instances }, () => '1'),
      );
      assert.equal(it.launcher.processes.length, instances + 1);
    });

  test('one that answers nothing but errors replaces nothing', async () => {
    const { it, reload, fresh } = await onTrial(2);
    for (let n = 0; n < 20; n++) fresh.emit({ kind: 'answered', status: 500 });
    await it.clock.advance(2000);
    const [first, second] = await reload.outcomes;
    assert.equal(first?.reason, 'it stayed up, but answered every request with an error (500)');
    assert.match(first?.hint ?? '', /^what is old serves on; with `min_ready: 1s`/);
    assert.equal(second?.reason, NOT_TRIED);
    assert.equal(fresh.asked, 'SIGINT', 'what it has begun is finished');
    assert.deepEqual(builds(it.launcher.alive), ['0:1', '1:1']);
  });

  test('min_ready takes the place of the trial, and holds for all', async () => {
    const { it, reload, fresh } = await onTrial(2, { rollout: { minReadyMs: 3000 } });
    assert.equal(fresh.watchedMs, null);
    await it.clock.advance(3000);
    assert.deepEqual(builds(it.launcher.alive), ['1:1', '0:2', '1:2']);
    await it.clock.advance(3000);
    assert.deepEqual(told(await reload.outcomes), ['ok', 'ok']);
  });

  test('of a canary it lasts as long as that', async () => {
    const it = await started(2);
    const reload = it.supervisor.run({ kind: 'reload', apps: [it.record], ids: [0, 1], canaryMs: 10_000 });
    await it.clock.advance(9999);
    assert.deepEqual(builds(it.launcher.alive), ['0:1', '1:1', '0:2']);
    it.launcher.of(0).emit({ kind: 'answered', status: 200 });
    await it.clock.advance(1);
    assert.deepEqual(told(await reload), ['ok', 'ok']);
  });

  test('where it takes the place of its old one, too', async () => {
    const { it, reload } = await onTrial(2, { rollout: { maxSurge: 0, maxUnavailable: 1 } });
    await it.clock.advance(300);
    assert.deepEqual(builds(it.launcher.alive), ['1:1', '0:2']);
    it.launcher.of(0).exit(3);
    const [first, second] = await reload.outcomes;
    assert.deepEqual([first?.replaced, second?.reason], [true, NOT_TRIED]);
    assert.ok(builds(it.launcher.alive).includes('1:1'));
  });
});

test('one that falls over later ends the rollout, and what still has an old one keeps it', async () => {
  const it = await started(3);
  const reload = await it.begin('reload');
  await it.clock.advance(100);
  const first = it.launcher.of(0);
  it.launcher.script = waits;
  await it.passTrial();
  assert.deepEqual(builds(it.launcher.alive), ['1:1', '2:1', '0:2', '1:2']);
  await it.clock.advance(5000);
  it.launcher.script = serves;
  first.exit(3);
  const [fallen, ...others] = await reload.outcomes;
  assert.equal(fallen?.reason, 'it was ready, and then failed: exited with code 3');
  assert.equal(fallen?.replaced, true);
  assert.doesNotMatch(fallen?.hint ?? '', /upkeep (delete|stop)/);
  assert.deepEqual(told(others), [NOT_TRIED, NOT_TRIED]);
  assert.deepEqual(builds(it.launcher.alive), ['1:1', '2:1', '0:2']);
});

test('a canary that falls over is not tried again, and not said to be', async () => {
  const it = await started(2);
  const reload = it.supervisor.run({ kind: 'reload', apps: [it.record], ids: [0, 1], canaryMs: 10_000 });
  await it.clock.advance(1000);
  it.launcher.of(0).exit(3);
  const [first] = await reload;
  assert.equal(first?.hint, 'what is old serves on; `upkeep logs api` shows all it wrote');
  assert.match(it.snapshot().exits[0]?.reason ?? '', /^a new one that did not take over: /);
  await it.reloaded();
  assert.equal(it.snapshot().exits[0]?.reason, 'replaced by a reload');
});

describe('a new build that does not get ready', () => {
  test('leaves the old instances, and says why', async () => {
    const it = await started(3);
    it.launcher.script = {
      ...crashes,
      run: (process) => {
        it.ports.logs.captures.at(-1)?.write('TypeError: x is not a function');
        process.exit(1);
      },
    };
    const [first, ...others] = await it.reloaded();
    assert.deepEqual(
      [first?.ok, first?.reason, first?.stderr],
      [false, 'exited with code 1', ['TypeError: x is not a function']],
    );
    assert.deepEqual(told(others), [NOT_TRIED, NOT_TRIED]);
    assert.deepEqual(builds(it.launcher.alive), ['0:1', '1:1', '2:1']);
    assert.deepEqual(it.states, ['online', 'online', 'online']);
    assert.equal(it.snapshot().restarts, 0, 'what serves was not restarted');
    assert.deepEqual(
      it.snapshot().exits.map(({ reason }) => reason),
      ['a new one that did not take over: exited with code 1'],
    );
  });

  test('is tried once only', async () => {
    const it = await started(3);
    it.launcher.script = crashes;
    await it.reloaded();
    await it.clock.advance(60_000);
    assert.equal(it.launcher.processes.length, 4);
  });

  test('keeps those that were replaced before it', async () => {
    const it = await started(3);
    it.launcher.script = { ...serves, run: (process) => (process.id === 1 ? process.exit(1) : process.listen()) };
    assert.deepEqual(told(await it.reloaded()), ['ok', 'exited with code 1', NOT_TRIED]);
    assert.deepEqual(builds(it.launcher.alive).toSorted(), ['0:2', '1:1', '2:1']);
  });

  test('tells that new and old serve on while the first old one still drains', async () => {
    const it = new Supervised(clusterSpec({ instances: 2 }));
    it.launcher.script = stubborn;
    await it.run('start');
    it.launcher.script = { ...serves, run: (process) => (process.id === 1 ? process.exit(1) : process.listen()) };
    const reload = await it.begin('reload');
    await it.clock.advance(40_000);
    const [, second] = await reload.outcomes;
    assert.match(second?.hint ?? '', /^new and old serve on: `upkeep rollback api`/);
  });

  test('is not tried on instances that do not serve either', async () => {
    const it = new Supervised(clusterSpec({ instances: 2 }));
    await it.run('start', [0]);
    it.launcher.script = crashes;
    assert.deepEqual(told(await it.reloaded()), ['exited with code 1', NOT_TRIED]);
    assert.deepEqual(it.states, ['online', 'stopped']);
  });

  test('is followed by a reload that works', async () => {
    const it = await started(2);
    it.launcher.script = crashes;
    await it.reloaded();
    it.launcher.script = serves;
    assert.deepEqual(told(await it.reloaded()), ['ok', 'ok']);
    assert.deepEqual(builds(it.launcher.alive), ['0:2', '1:2']);
  });

  test('that cannot be launched at all leaves the old instances', async () => {
    const it = await started(1);
    it.launcher.failure = 'cannot start /usr/bin/node';
    assert.deepEqual(told(await it.reloaded()), ['cannot start /usr/bin/node']);
    assert.deepEqual(it.states, ['online']);
  });
});

describe('while a reload runs', () => {
  async function reloading() {
    const it = await started(2);
    it.launcher.script = waits;
    const reload = await it.begin('reload');
    it.launcher.script = serves;
    return { it, reload };
  }

  test('start and another reload are refused, and nothing changes', async () => {
    const { it, reload } = await reloading();
    await assert.rejects(it.run('start'), BUSY);
    await assert.rejects(it.run('reload'), BUSY);
    assert.equal(reload.settled, false);
    it.launcher.of(0).listen();
    await it.passTrial();
    assert.deepEqual(told(await reload.outcomes), ['ok', 'ok']);
    assert.deepEqual(told(await it.run('start')), ['ok', 'ok']);
  });

  test('another app is not concerned', async () => {
    const { it, reload } = await reloading();
    const other = appRecord(clusterSpec({ name: 'other' }), { key: 'k2', firstId: 10 });
    await it.supervisor.run({ kind: 'start', apps: [other], ids: [10] });
    assert.equal(it.snapshot(10).state.kind, 'online');
    assert.equal(reload.settled, false);
    await it.run('stop');
  });

  test('reset does not concern it', async () => {
    const { it, reload } = await reloading();
    assert.deepEqual(told(await it.run('reset')), ['ok', 'ok']);
    assert.equal(reload.settled, false);
    it.launcher.of(0).listen();
    await it.passTrial();
    assert.deepEqual(told(await reload.outcomes), ['ok', 'ok']);
    assert.deepEqual(builds(it.launcher.alive), ['0:2', '1:2']);
  });

  test('stop calls it off', async () => {
    const { it, reload } = await reloading();
    assert.deepEqual(told(await it.run('stop')), ['ok', 'ok']);
    assert.deepEqual(told(await reload.outcomes), ['called off by stop', 'called off by stop']);
    assert.deepEqual(it.states, ['stopped', 'stopped']);
    await it.clock.advance(0);
    assert.deepEqual(it.launcher.alive, []);
  });

  test('restart calls it off', async () => {
    const { it, reload } = await reloading();
    assert.deepEqual(told(await it.run('restart')), ['ok', 'ok']);
    assert.deepEqual(told(await reload.outcomes), ['called off by restart', 'called off by restart']);
    await it.clock.advance(0);
    assert.deepEqual(builds(it.launcher.alive), ['0:2', '1:2']);
  });

  test('a restart that spares it is refused, as is a start by name', async () => {
    const { it, reload } = await reloading();
    const ids = [0, 1];
    await assert.rejects(it.supervisor.run({ kind: 'restart', apps: [it.record], ids, sparesReload: true }), BUSY);
    assert.equal(reload.settled, false);
    it.launcher.of(0).listen();
    await it.passTrial();
    assert.deepEqual(told(await reload.outcomes), ['ok', 'ok']);
    const again = await it.supervisor.run({ kind: 'restart', apps: [it.record], ids, sparesReload: true });
    assert.deepEqual(told(again), ['ok', 'ok']);
  });

  test('delete calls it off', async () => {
    const { it, reload } = await reloading();
    assert.deepEqual(told(await it.run('delete')), ['ok', 'ok']);
    assert.deepEqual(told(await reload.outcomes), ['called off by delete', 'called off by delete']);
    await it.clock.advance(0);
    assert.deepEqual([it.launcher.alive, it.supervisor.snapshot()], [[], []]);
  });

  test('shutdown calls it off', async () => {
    const { it, reload } = await reloading();
    await it.supervisor.shutdown();
    assert.deepEqual(told(await reload.outcomes), ['called off by kill', 'called off by kill']);
    await it.clock.advance(0);
    assert.deepEqual(it.launcher.alive, []);
  });

  for (const kind of ['stop', 'delete', 'shutdown'] as const)
    test(`${kind} waits until the new one that it discards is gone`, async () => {
      const it = await started(2);
      it.launcher.script = { ...waits, obeys: false };
      const reload = await it.begin('reload');
      const candidate = it.launcher.of(0);
      assert.deepEqual(builds([candidate]), ['0:2']);
      let settled = false;
      const ending = (kind === 'shutdown' ? it.supervisor.shutdown() : it.run(kind)).then(() => {
        settled = true;
      });
      await it.clock.advance(1599);
      assert.deepEqual([candidate.alive, settled, reload.settled], [true, false, false]);
      await it.clock.advance(1);
      await ending;
      assert.deepEqual(candidate.signals, ['SIGINT tree', 'SIGKILL tree']);
      assert.deepEqual(it.launcher.alive, []);
      assert.equal(reload.settled, true);
    });

  test('an old instance that crashes is kept alive', async () => {
    const { it, reload } = await reloading();
    it.launcher.processes[1]?.exit(1);
    await it.clock.advance(0);
    assert.deepEqual(it.states, ['online', 'online']);
    it.launcher.of(0).listen();
    await it.passTrial();
    assert.deepEqual(told(await reload.outcomes), ['ok', 'ok']);
    assert.deepEqual(builds(it.launcher.alive), ['0:2', '1:2']);
  });
});

describe('while a reload restarts what has no one to take over from', () => {
  for (const kind of ['stop', 'delete', 'restart'] as const)
    test(`${kind} calls it off`, async () => {
      const it = new Supervised(appSpec({ instances: 2 }));
      await it.run('start');
      it.launcher.script = waits;
      const reload = await it.begin('reload');
      assert.deepEqual([it.states, reload.settled], [['starting', 'starting'], false]);
      it.launcher.script = serves;
      assert.deepEqual(told(await it.run(kind)), ['ok', 'ok']);
      assert.deepEqual(told(await reload.outcomes), [`called off by ${kind}`, `called off by ${kind}`]);
      assert.equal(it.launcher.alive.length, kind === 'restart' ? 2 : 0);
    });

  test('shutdown calls it off', async () => {
    const it = new Supervised(appSpec({ instances: 2 }));
    await it.run('start');
    it.launcher.script = waits;
    const reload = await it.begin('reload');
    await it.supervisor.shutdown();
    assert.deepEqual(told(await reload.outcomes), ['called off by kill', 'called off by kill']);
    assert.deepEqual(it.launcher.alive, []);
  });
});

describe('one that listened', () => {
  const runs: ProcessScript = { ...waits, run: (process) => process.emit({ kind: 'main-ran' }) };
  const DEAF = 'it listened on *:3000 before, and 30 s after its start it listens nowhere; it is left running';

  test('must listen again after it has crashed, for as long as a start may take', async () => {
    const it = await started(1);
    await it.reloaded();
    it.launcher.script = runs;
    it.launcher.of(0).exit(1);
    await it.clock.advance(29_999);
    assert.deepEqual([it.states, it.launcher.processes.length], [['starting'], 3]);
    await it.clock.advance(1);
    assert.deepEqual(it.states, ['online']);
    // Now it is one that does not.
    it.launcher.of(0).exit(1);
    await it.clock.advance(3000);
    assert.deepEqual(it.states, ['online']);
  });

  for (const [mode, spec] of [
    ['fork', appSpec()],
    ['cluster', clusterSpec()],
  ] as const)
    for (const kind of mode === 'fork' ? (['restart', 'reload'] as const) : (['restart'] as const))
      test(`and does not after a ${kind} in ${mode} mode: that is told`, async () => {
        const it = new Supervised(spec);
        await it.run('start');
        it.launcher.script = runs;
        const pending = await it.begin(kind);
        it.launcher.of(0).emit({ kind: 'settled' });
        await it.clock.advance(29_999);
        assert.deepEqual([it.states, pending.settled], [['starting'], false]);
        await it.clock.advance(1);
        assert.deepEqual(told(await pending.outcomes), [DEAF]);
        assert.deepEqual([it.states, it.launcher.alive.length], [['online'], 1]);
        const again = await it.begin('restart');
        await it.clock.advance(3000);
        assert.deepEqual(told(await again.outcomes), ['ok'], 'then it is one that does not');
      });

  test('is online as soon as it does', async () => {
    const it = new Supervised(appSpec());
    await it.run('start');
    it.launcher.script = runs;
    const restart = await it.begin('restart');
    await it.clock.advance(10_000);
    it.launcher.of(0).emit({ kind: 'listening', address: '*:3000' });
    assert.deepEqual(await restart.outcomes.then(([first]) => [first?.ok, first?.note]), [true, undefined]);
  });

  test('is not held to it where it says itself when it is ready', async () => {
    const it = new Supervised(appSpec({ ready: { waitReady: true } }));
    it.launcher.script = {
      ...waits,
      run: (process) => {
        process.listen();
        process.emit({ kind: 'ready' });
      },
    };
    await it.run('start');
    it.launcher.script = { ...waits, run: (process) => process.emit({ kind: 'ready' }) };
    assert.deepEqual(told(await it.run('restart')), ['ok']);
  });
});

describe('one that listens elsewhere than before', () => {
  const on = (address: string, anyPort = false): ProcessScript => ({
    ...serves,
    run: (process) => {
      process.emit({ kind: 'main-ran' });
      process.emit({ kind: 'listening', address, anyPort });
    },
  });
  const notes = (outcomes: readonly Outcome[]) => outcomes.map(({ note }) => note);

  for (const [mode, spec] of [
    ['fork', appSpec()],
    ['cluster', clusterSpec()],
  ] as const)
    test(`is told, in ${mode} mode`, async () => {
      const it = new Supervised(spec);
      it.launcher.script = on('*:21010');
      await it.run('start');
      it.launcher.script = on('*:21011');
      assert.deepEqual(notes(await it.reloaded()), ['listened on *:21010, now on *:21011']);
      assert.deepEqual(notes(await it.reloaded()), [undefined]);
      it.launcher.script = on('*:21012');
      assert.deepEqual(notes(await it.run('restart')), ['listened on *:21011, now on *:21012']);
    });

  test('as it wants any port, is not', async () => {
    const it = new Supervised(appSpec());
    it.launcher.script = on('*:40000', true);
    await it.run('start');
    it.launcher.script = on('*:50000', true);
    assert.deepEqual(notes(await it.run('restart')), [undefined]);
  });
});

test('a new instance of an app whose siblings listen must listen', async () => {
  const it = await started(2);
  it.record = appRecord(clusterSpec({ instances: 3, env: { BUILD: '1' } }));
  it.launcher.script = { ...waits, run: (process) => process.emit({ kind: 'main-ran' }) };
  const scale = await it.begin('start', [2]);
  await it.clock.advance(10_000);
  assert.deepEqual([it.states, scale.settled], [['online', 'online', 'starting'], false]);
  it.launcher.of(2).emit({ kind: 'listening', address: '*:3000' });
  assert.deepEqual(told(await scale.outcomes), ['ok']);
});
