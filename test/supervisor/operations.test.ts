import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { appRecord, appSpec, clusterSpec } from '../fakes/app-spec.ts';
import { crashes, serves, stubborn, waits } from '../fakes/ports.ts';
import { Supervised, told } from '../fakes/supervised.ts';

describe('start', () => {
  test('is done when every instance is online', async () => {
    const it = new Supervised(clusterSpec({ instances: 3 }));
    assert.deepEqual(told(await it.run('start')), ['ok', 'ok', 'ok']);
    assert.deepEqual(it.states, ['online', 'online', 'online']);
    assert.deepEqual(it.ports.logs.reserved[0], 3, 'the pipes are made in one go');
  });

  test('gives each instance its environment and descriptors, and closes those', async () => {
    const it = new Supervised(appSpec({ instances: 2, env: { PORT: '3000' }, incrementVar: 'PORT' }));
    await it.run('start');
    const seen = it.launcher.processes.map(({ request }) => [request.env['PORT'], request.env['NODE_APP_INSTANCE']]);
    assert.deepEqual(seen, [
      ['3000', '0'],
      ['3001', '1'],
    ]);
    assert.deepEqual(
      it.ports.logs.captures.map(({ openDescriptors }) => openDescriptors),
      [0, 0],
    );
  });

  test('waits for the one that is not ready yet', async () => {
    const it = new Supervised(clusterSpec());
    it.launcher.script = waits;
    const start = await it.begin('start');
    assert.equal(start.settled, false);
    assert.deepEqual(it.states, ['starting']);
    it.launcher.of(0).listen();
    assert.deepEqual(told(await start.outcomes), ['ok']);
  });

  test('of one that is online changes nothing', async () => {
    const it = new Supervised(clusterSpec());
    await it.run('start');
    assert.deepEqual(told(await it.run('start')), ['ok']);
    assert.equal(it.launcher.processes.length, 1);
  });

  test('of an app with more slots starts those, and only those', async () => {
    const it = new Supervised(clusterSpec());
    await it.run('start');
    it.record = appRecord(clusterSpec({ instances: 3 }));
    assert.deepEqual(told(await it.run('start', [1, 2])), ['ok', 'ok']);
    assert.deepEqual(it.states, ['online', 'online', 'online']);
    assert.deepEqual(
      it.launcher.processes.map(({ id }) => id),
      [0, 1, 2],
    );
  });

  test('of some instances leaves the others', async () => {
    const it = new Supervised(appSpec({ instances: 3 }));
    await it.run('start', [1]);
    assert.deepEqual(it.states, ['stopped', 'online', 'stopped']);
  });

  test('tells the first failure, with what the app wrote, and goes on trying', async () => {
    const it = new Supervised(appSpec());
    it.launcher.script = {
      ...crashes,
      run: (process) => {
        it.ports.logs.captures[0]?.write('Error: no database');
        it.launcher.script = serves;
        process.exit(1);
      },
    };
    const [outcome] = await it.run('start');
    assert.equal(outcome?.ok, false);
    assert.equal(outcome?.reason, 'exited with code 1');
    assert.deepEqual(outcome?.stderr, ['Error: no database']);
    await it.clock.advance(0);
    assert.deepEqual(it.states, ['online']);
    assert.equal(it.snapshot().restarts, 1);
  });

  test('tells that no process could be made', async () => {
    const it = new Supervised(appSpec());
    it.launcher.failure = 'cannot start /usr/bin/node: it does not exist';
    assert.deepEqual(told(await it.run('start')), ['cannot start /usr/bin/node: it does not exist']);
    assert.deepEqual(it.states, ['backoff']);
    it.launcher.failure = null;
    await it.clock.advance(1000);
    assert.deepEqual(it.states, ['online']);
  });

  test('tells that the logs cannot be written', async () => {
    const it = new Supervised(appSpec());
    it.ports.logs.failure = new Error('cannot write the log file /logs/api-out.log: EACCES');
    assert.deepEqual(told(await it.run('start')), ['cannot write the log file /logs/api-out.log: EACCES']);
    assert.equal(it.launcher.processes.length, 0);
  });

  for (const [what, restart] of [
    ['without autorestart', { autorestart: false }],
    ['of which code 0 is a stop_exit_code', { stopExitCodes: [0] }],
  ] as const)
    test(`of a job ${what} that ends before it is online is done`, async () => {
      const it = new Supervised(appSpec({ restart }));
      it.launcher.script = { ...crashes, run: (process) => process.exit(0) };
      assert.deepEqual(told(await it.run('start')), ['ok']);
      assert.deepEqual([it.states, it.launcher.processes.length], [['stopped'], 1]);
      assert.deepEqual(told(await it.run('restart')), ['ok']);
    });

  test('that stop calls off has failed, with autorestart or without', async () => {
    for (const autorestart of [true, false]) {
      const it = new Supervised(appSpec({ restart: { autorestart } }));
      it.launcher.script = waits;
      const start = await it.begin('start');
      await it.run('stop');
      assert.deepEqual(told(await start.outcomes), ['stopped by command before it was ready']);
    }
  });

  test('gives up waiting, not the app, when it takes too long', async () => {
    const it = new Supervised(clusterSpec());
    it.launcher.script = waits;
    const start = await it.begin('start');
    await it.clock.advance(31_599);
    assert.equal(start.settled, false);
    await it.clock.advance(1);
    assert.deepEqual(told(await start.outcomes), ['still starting after 31600 ms; it is left running']);
    it.launcher.of(0).listen();
    assert.deepEqual(it.states, ['online']);
  });

  test('gives up waiting for a restart and a reload after the same time, and that of the end before it', async () => {
    for (const kind of ['restart', 'reload'] as const) {
      const it = new Supervised(clusterSpec());
      it.launcher.script = waits;
      void it.begin('start');
      await it.clock.advance(40_000);
      const again = await it.begin(kind);
      await it.clock.advance(31_600);
      assert.deepEqual(told(await again.outcomes), ['still starting after 31600 ms; it is left running']);
    }
  });

  test('waits for as long as its readiness may take', async () => {
    const probe = { check: { kind: 'fd', fd: 3 }, intervalMs: 500, timeoutMs: 2000, deadlineMs: 60_000 } as const;
    const it = new Supervised(appSpec({ ready: { probe } }));
    it.launcher.script = waits;
    const start = await it.begin('start');
    await it.clock.advance(60_000);
    assert.deepEqual(told(await start.outcomes), ['was not ready within 60000 ms (readiness: no answer)']);
  });

  test('of another program is done after its grace', async () => {
    const it = new Supervised(appSpec({ program: { runtime: 'other' } }));
    it.launcher.script = waits;
    const start = await it.begin('start');
    await it.clock.advance(499);
    assert.equal(start.settled, false);
    await it.clock.advance(1);
    assert.deepEqual(told(await start.outcomes), ['ok']);
  });
});

describe('stop', () => {
  test('is done when the process is gone', async () => {
    const it = new Supervised(appSpec());
    await it.run('start');
    assert.deepEqual(told(await it.run('stop')), ['ok']);
    assert.deepEqual(it.launcher.of(0).signals, ['SIGINT tree']);
    assert.deepEqual(it.states, ['stopped']);
    assert.deepEqual(it.clock.pending, []);
  });

  test('asks a cluster worker to drain', async () => {
    const it = new Supervised(clusterSpec({ stop: { signal: 'SIGTERM' } }));
    await it.run('start');
    await it.run('stop');
    assert.deepEqual([it.launcher.of(0).asked, it.launcher.of(0).signals], ['SIGTERM', []]);
  });

  test('sends the signal where the app asks for it', async () => {
    const it = new Supervised(clusterSpec());
    it.launcher.script = stubborn;
    await it.run('start');
    const stop = await it.begin('stop');
    it.launcher.of(0).emit({ kind: 'want-signal' });
    assert.deepEqual(it.launcher.of(0).signals, ['SIGINT tree']);
    it.launcher.of(0).exit(0);
    assert.deepEqual(told(await stop.outcomes), ['ok']);
  });

  test('kills what does not go in time', async () => {
    const it = new Supervised(appSpec());
    it.launcher.script = stubborn;
    await it.run('start');
    const stop = await it.begin('stop');
    await it.clock.advance(1599);
    assert.deepEqual(it.states, ['stopping']);
    await it.clock.advance(1);
    assert.deepEqual(told(await stop.outcomes), ['ok']);
    assert.deepEqual(it.launcher.of(0).signals, ['SIGINT tree', 'SIGKILL tree']);
  });

  test('waits for the rest of the tree', async () => {
    const it = new Supervised(appSpec());
    it.launcher.script = stubborn;
    await it.run('start');
    const stop = await it.begin('stop');
    it.launcher.of(0).exit(0, null, true);
    await it.clock.advance(100);
    assert.deepEqual([it.launcher.of(0).awaited, stop.settled], [true, false]);
    it.launcher.of(0).emit({ kind: 'tree-gone' });
    assert.deepEqual(told(await stop.outcomes), ['ok']);
  });

  test('of what is down already is done', async () => {
    const it = new Supervised(appSpec());
    assert.deepEqual(told(await it.run('stop')), ['ok']);
    assert.equal(it.launcher.processes.length, 0);
  });

  test('ends the wait for a restart', async () => {
    const it = new Supervised(appSpec({ restart: { delayMs: 5000 } }));
    it.launcher.script = crashes;
    await it.run('start');
    assert.deepEqual(it.states, ['backoff']);
    await it.run('stop');
    await it.clock.advance(60_000);
    assert.deepEqual(it.states, ['stopped']);
    assert.equal(it.launcher.processes.length, 1);
  });
});

describe('a process that not even SIGKILL ends', () => {
  async function undying() {
    const it = new Supervised(appSpec());
    it.launcher.script = { ...stubborn, immortal: true };
    await it.run('start');
    const stop = await it.begin('stop');
    return { it, stop };
  }

  test('is told, stays in sight, and is stopped when it goes at last', async () => {
    const { it, stop } = await undying();
    await it.clock.advance(11_600);
    assert.deepEqual(told(await stop.outcomes), ['process 100 is still there after 11600 ms, SIGKILL and all']);
    assert.deepEqual(it.states, ['stopping']);
    it.launcher.of(0).exit(null, 'SIGKILL');
    assert.deepEqual(it.states, ['stopped']);
    assert.deepEqual(told(await it.run('stop')), ['ok']);
    assert.deepEqual(it.clock.pending, []);
  });

  test('is the only one of its instance for as long as it lives', async () => {
    const { it } = await undying();
    await it.clock.advance(5000);
    const start = await it.begin('start');
    await it.clock.advance(20_000);
    assert.deepEqual([it.states, it.launcher.processes.length, start.settled], [['stopping'], 1, false]);
    it.launcher.script = serves;
    it.launcher.of(0).exit(null, 'SIGKILL');
    assert.deepEqual(told(await start.outcomes), ['ok']);
    assert.deepEqual([it.states, it.launcher.alive.length], [['online'], 1]);
  });
});

describe('restart', () => {
  test('starts the new process when the old one is gone', async () => {
    const it = new Supervised(appSpec());
    it.launcher.script = stubborn;
    await it.run('start');
    const restart = await it.begin('restart');
    assert.equal(it.launcher.processes.length, 1);
    it.launcher.of(0).exit(0);
    assert.deepEqual(told(await restart.outcomes), ['ok']);
    assert.equal(it.launcher.alive.length, 1);
    assert.equal(it.snapshot().restarts, 1);
  });

  test('takes over a new spec', async () => {
    const it = new Supervised(appSpec({ env: { A: '1' } }));
    await it.run('start');
    it.record = appRecord(appSpec({ env: { A: '2' } }));
    await it.run('restart');
    assert.equal(it.launcher.of(0).request.env['A'], '2');
  });

  test('is reported as failed when the new run is', async () => {
    const it = new Supervised(appSpec());
    await it.run('start');
    it.launcher.script = { ...crashes, run: (process) => process.exit(7) };
    assert.deepEqual(told(await it.run('restart')), ['exited with code 7']);
    await it.run('stop');
  });
});

describe('delete', () => {
  test('stops and forgets', async () => {
    const it = new Supervised(clusterSpec({ instances: 2 }));
    await it.run('start');
    assert.deepEqual(told(await it.run('delete', [1])), ['ok']);
    assert.deepEqual(
      it.supervisor.snapshot().map(({ app }) => app.slots.length),
      [1],
    );
    await it.run('delete', [0]);
    assert.deepEqual(it.supervisor.snapshot(), []);
    assert.deepEqual(it.launcher.alive, []);
    assert.deepEqual(
      it.ports.logs.captures.map(({ closed }) => closed),
      [true, true],
    );
  });

  test('of what nobody knows is done', async () => {
    const it = new Supervised(appSpec());
    assert.deepEqual(await it.run('delete'), []);
    assert.deepEqual(it.supervisor.snapshot(), []);
  });
});

describe('reset', () => {
  test('clears the counters of a running instance', async () => {
    const it = new Supervised(appSpec());
    await it.run('start');
    await it.run('restart');
    assert.deepEqual(told(await it.run('reset')), ['ok']);
    assert.deepEqual([it.snapshot().restarts, it.states], [0, ['online']]);
    assert.equal(it.launcher.processes.length, 2);
  });
});

describe('signal', () => {
  test('reaches the main process of those that have one', async () => {
    const it = new Supervised(appSpec({ instances: 2 }));
    await it.run('start', [0]);
    const { pid } = it.launcher.of(0);
    assert.deepEqual(it.supervisor.signal([0, 1, 99], 'SIGHUP'), [pid]);
    assert.deepEqual(it.launcher.of(0).signals, ['SIGHUP']);
  });
});

describe('shutdown', () => {
  test('stops everything and counts the processes', async () => {
    const it = new Supervised(clusterSpec({ instances: 3 }));
    await it.run('start', [0, 1]);
    assert.equal(await it.supervisor.shutdown(), 2);
    assert.deepEqual(it.launcher.alive, []);
    assert.deepEqual(it.clock.pending, []);
  });

  test('ends what waits to be restarted', async () => {
    const it = new Supervised(appSpec({ restart: { delayMs: 50 } }));
    it.launcher.script = crashes;
    await it.run('start');
    assert.equal(await it.supervisor.shutdown(), 0);
    await it.clock.advance(1000);
    assert.equal(it.launcher.processes.length, 1);
  });
});

test('operations on several apps go to each', async () => {
  const it = new Supervised(appSpec({ name: 'a' }));
  const other = appRecord(appSpec({ name: 'b' }), { key: 'k2', firstId: 1 });
  const outcomes = await it.supervisor.run({ kind: 'start', apps: [it.record, other], ids: [0, 1] });
  assert.deepEqual(
    outcomes.map(({ id, name, ok }) => [id, name, ok]),
    [
      [0, 'a', true],
      [1, 'b', true],
    ],
  );
});
