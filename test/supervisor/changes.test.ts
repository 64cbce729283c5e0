import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pidOf } from '../../src/domain/instance.ts';
import { clusterSpec } from '../fakes/app-spec.ts';
import { stubborn, turn, waits } from '../fakes/ports.ts';
import { Supervised } from '../fakes/supervised.ts';

const told = (it: Supervised) =>
  it.changes.map(({ instances, removed }) => [instances.map(({ id, state }) => `${id} ${state.kind}`), removed]);

test('changes of one moment are told together', async () => {
  const it = new Supervised(clusterSpec({ instances: 2 }));
  it.launcher.script = waits;
  await it.begin('start');
  assert.deepEqual(told(it), [[['0 starting', '1 starting'], []]]);
});

test('the last state is told before the operation ends', async () => {
  const it = new Supervised(clusterSpec());
  await it.run('start');
  assert.deepEqual(told(it).at(-1), [['0 online'], []]);
  await it.run('stop');
  assert.deepEqual(told(it).at(-1), [['0 stopped'], []]);
  await it.run('delete');
  assert.deepEqual(told(it).at(-1), [[], [0]]);
});

test('what nobody asked for is told too', async () => {
  const it = new Supervised(clusterSpec());
  await it.run('start');
  it.changes.length = 0;
  it.launcher.script = waits;
  it.launcher.of(0).exit(1);
  await turn();
  assert.deepEqual(told(it), [[['0 starting'], []]]);
  assert.equal(it.changes[0]?.instances[0]?.restarts, 1);
});

test('no change, nothing told', async () => {
  const it = new Supervised(clusterSpec());
  await it.run('start');
  it.changes.length = 0;
  await turn();
  assert.deepEqual(it.changes, []);
});

test('a reload tells the new one, until that has taken over', async () => {
  const it = new Supervised(clusterSpec({ rollout: { minReadyMs: 1000 } }));
  await it.run('start');
  it.launcher.script = waits;
  const successor = () => it.changes.at(-1)?.instances.map((instance) => instance.successor);
  for (const [canaryMs, stage] of [
    [5000, 'canary'],
    [0, 'ready'],
  ] as const) {
    const reload = it.supervisor.run({ kind: 'reload', apps: [it.record], ids: [0], canaryMs });
    await turn();
    const { pid } = it.launcher.of(0);
    assert.deepEqual(successor(), [{ pid, stage: 'starting' }]);
    it.launcher.of(0).listen();
    await turn();
    assert.deepEqual(successor(), [{ pid, stage }]);
    await it.clock.advance(5000);
    await reload;
    assert.deepEqual(successor(), [null]);
    assert.equal(pidOf(it.snapshot()), pid);
  }
});

test('a reload tells who drains', async () => {
  const it = new Supervised(clusterSpec());
  it.launcher.script = stubborn;
  await it.run('start');
  const old = it.launcher.of(0);
  it.launcher.script = waits;
  const draining = () => it.changes.at(-1)?.instances.map((instance) => instance.draining);
  const reload = await it.begin('reload');
  assert.deepEqual(draining(), [[]]);
  it.launcher.of(0).listen();
  await it.passTrial();
  assert.deepEqual(draining(), [[old.pid]]);
  old.exit();
  await reload.outcomes;
  assert.deepEqual(draining(), [[]]);
});
