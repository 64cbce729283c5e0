import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Shortage, USERS_SILENT } from '../../src/domain/shortage.ts';
import { Supervisor } from '../../src/supervisor/supervisor.ts';
import { appSpec, clusterSpec } from '../fakes/app-spec.ts';
import { turn } from '../fakes/ports.ts';
import { Supervised, told } from '../fakes/supervised.ts';

const full = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });

describe('a process that cannot be started for want of something', () => {
  test('is told, tried again without end, and counted as nothing', async () => {
    const it = new Supervised(appSpec({ restart: { maxRestarts: 2 } }));
    it.launcher.failure = 'the machine is short of processes (EAGAIN)';
    it.launcher.short = true;
    const [outcome] = await it.run('start');
    assert.equal(outcome?.reason, 'it cannot be started: the machine is short of processes (EAGAIN)');
    assert.match(String(outcome?.hint), /free it, or raise its limit /);
    assert.match(String(outcome?.again), /it is tried again/);
    await it.clock.advance(300_000);
    const { state, restarts, unstable, exits } = it.snapshot();
    assert.deepEqual([state.kind, restarts, unstable, exits], ['backoff', 0, 0, []]);
    it.launcher.failure = null;
    await it.clock.advance(15_000);
    assert.deepEqual(it.states, ['online']);
  });

  test('is one that has no pipes, too', async () => {
    const it = new Supervised(appSpec());
    it.ports.logs.failure = full;
    const [outcome] = await it.run('start');
    assert.equal(outcome?.reason, 'it cannot be started: the machine is short of disk space (ENOSPC)');
    it.ports.logs.failure = null;
    await it.clock.advance(500);
    assert.deepEqual(it.states, ['online']);
  });

  test('ends a reload, and what is old serves on', async () => {
    const it = new Supervised(clusterSpec({ instances: 2 }));
    await it.run('start');
    const pids = it.launcher.alive.map(({ pid }) => pid);
    it.launcher.failure = 'the machine is short of memory (ENOMEM)';
    it.launcher.short = true;
    const [first] = told(await it.run('reload'));
    assert.equal(first, 'it cannot be started: the machine is short of memory (ENOMEM)');
    assert.deepEqual(
      it.launcher.alive.map(({ pid }) => pid),
      pids,
    );
  });
});

describe('what must be known before a process is started', () => {
  test('is waited for, and a start waits no longer than that', async () => {
    const it = new Supervised(appSpec());
    let learn = (): void => {};
    it.launcher.prepare = () =>
      new Promise((resolve) => {
        learn = resolve;
      });
    const start = await it.begin('start');
    assert.deepEqual([it.states, it.launcher.alive.length], [['starting'], 0]);
    learn();
    await turn();
    assert.equal(it.launcher.alive.length, 1);
    assert.equal((await start.outcomes)[0]?.ok, true);
  });

  test('and is not learnt is a shortage', async () => {
    const it = new Supervised(appSpec());
    it.launcher.prepare = () => Promise.reject(new Shortage(`${USERS_SILENT} (5000 ms)`));
    const [outcome] = await it.run('start');
    assert.match(outcome?.reason ?? '', /^it cannot be started: the user database of the system does not answer/);
    it.launcher.prepare = () => null;
    await it.clock.advance(500);
    assert.deepEqual(it.states, ['online']);
  });

  test('keeps nobody from stopping, nor from starting again', async () => {
    const it = new Supervised(appSpec());
    const learn: (() => void)[] = [];
    it.launcher.prepare = () => new Promise((resolve) => learn.push(resolve));
    await it.begin('start');
    const stop = await it.begin('stop');
    learn[0]?.();
    assert.deepEqual(told(await stop.outcomes), ['ok']);
    assert.deepEqual([it.states, it.launcher.alive.length], [['stopped'], 0]);
    const start = await it.begin('start');
    learn[1]?.();
    assert.deepEqual(told(await start.outcomes), ['ok']);
    assert.equal(it.launcher.alive.length, 1);
  });
});

describe('what the next supervisor must know, and cannot be written,', () => {
  test('is complained of once, and written when that is possible, though nothing else changes', async () => {
    const it = new Supervised(appSpec());
    it.ports.ledger.failure = full;
    await it.run('start');
    await it.clock.advance(60_000);
    assert.equal(it.ports.complaints.length, 1, String(it.ports.complaints));
    assert.match(String(it.ports.complaints[0]), /cannot keep what its successor must know: ENOSPC/);
    it.ports.ledger.failure = null;
    await it.clock.advance(2000);
    assert.equal(it.ports.complaints.at(-1), 'what its successor must know is kept again');
    assert.deepEqual(it.clock.pending, []);

    const next = new Supervisor(it.ports, () => {});
    await next.resume();
    const [snapshot] = next.snapshot().flatMap(({ instances }) => instances);
    assert.equal(snapshot?.state.kind, 'online');
  });

  test('keeps no supervisor from coming up', async () => {
    const it = new Supervised(appSpec());
    await it.run('start');
    it.ports.ledger.failure = full;
    const next = new Supervisor(it.ports, () => {});
    await next.resume();
    await turn();
    assert.deepEqual(
      next.snapshot().flatMap(({ instances }) => instances.map(({ state }) => state.kind)),
      ['online'],
    );
  });

  test('is not left to another one', async () => {
    const it = new Supervised(appSpec());
    await it.run('start');
    it.ports.ledger.failure = full;
    await assert.rejects(it.supervisor.handOver(), /ENOSPC/);
    assert.equal(it.launcher.quiesced, false);
  });
});
