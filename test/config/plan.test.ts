import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { planChanges } from '../../src/config/plan.ts';
import type { AppSpec } from '../../src/domain/app-spec.ts';
import type { InstanceState } from '../../src/domain/instance.ts';
import type { AppView, Slot } from '../../src/protocol/messages.ts';
import { appRecord, appSpec } from '../fakes/app-spec.ts';

const ONLINE: InstanceState = { kind: 'online', pid: 10, since: 1 };
const STOPPED: InstanceState = { kind: 'stopped', reason: 'stopped by command' };
const ERRORED: InstanceState = { kind: 'errored', reason: 'the run ended' };
const BACKOFF: InstanceState = { kind: 'backoff', until: 9, reason: 'exited with code 1' };
const STARTING: InstanceState = {
  kind: 'starting',
  pid: 10,
  since: 1,
  mainRan: false,
  listening: false,
  said: false,
  probed: false,
  notReady: null,
};
const EXIT = { code: 1, signal: null, at: 1, uptimeMs: 5, reason: 'exited with code 1' };

interface Seen {
  readonly state: InstanceState;
  readonly wanted?: Slot['wanted'];
  readonly unstable?: number;
  readonly lastExit?: typeof EXIT | null;
}

function view(spec: AppSpec, ...seen: readonly Seen[]): AppView {
  const record = appRecord({ ...spec, instances: seen.length });
  const slots = record.slots.map((slot, at) => ({ ...slot, wanted: seen[at]?.wanted ?? 'up' }));
  const instances = seen.map(
    ({ state, unstable = 0, lastExit = null }, id) =>
      ({ id, index: id, state, unstable, lastExit }) as AppView['instances'][number],
  );
  return { app: { ...record, slots, origin: '/srv/apps.json' }, reloading: false, instances };
}

const plan = (spec: AppSpec, ...seen: readonly Seen[]) => planChanges([spec], [view(appSpec(), ...seen)], '');
const start = (why: string, down = 1, instances = 1) => ({ kind: 'start', name: 'api', down, instances, why });

describe('an app that is as the file has it', () => {
  test('and runs is left alone', () => {
    for (const seen of [{ state: ONLINE }, { state: STARTING }])
      assert.deepEqual(plan(appSpec(), seen), [{ kind: 'unchanged', name: 'api' }]);
  });

  test('and is being reloaded is busy, whatever else is to be done', () => {
    const busy = { ...view(appSpec(), { state: ONLINE }), reloading: true };
    for (const spec of [appSpec(), appSpec({ env: { A: '1' } })])
      assert.deepEqual(planChanges([spec], [busy], ''), [{ kind: 'busy', name: 'api' }]);
  });

  test('and is down is started', () => {
    assert.deepEqual(plan(appSpec(), { state: ERRORED }), [start('errored: the run ended')]);
    assert.deepEqual(plan(appSpec(), { state: BACKOFF }), [start('waiting restart: exited with code 1')]);
    assert.deepEqual(plan(appSpec(), { state: STOPPED, wanted: 'down', lastExit: EXIT }), [
      start('stopped by command'),
    ]);
    assert.deepEqual(plan(appSpec(), { state: { kind: 'stopped', reason: 'not started yet' } }), [
      start('not started yet'),
    ]);
    assert.deepEqual(plan(appSpec(), { state: STARTING, unstable: 2, lastExit: EXIT }), [
      start('crashes again and again: exited with code 1'),
    ]);
  });

  test('and is down in part is started in part, whatever else is to be done', () => {
    const two = appSpec({ instances: 2 });
    assert.deepEqual(plan(two, { state: ONLINE }, { state: ERRORED }), [start('errored: the run ended', 1, 2)]);
    assert.deepEqual(plan(two, { state: ERRORED }), [
      { kind: 'scale', name: 'api', from: 1, to: 2 },
      start('errored: the run ended', 1, 2),
    ]);
    assert.deepEqual(plan(appSpec(), { state: ONLINE }, { state: ERRORED }), [
      { kind: 'scale', name: 'api', from: 2, to: 1 },
    ]);
  });

  test('and is done, or is not to be started, is left alone', () => {
    const done = { state: { kind: 'stopped', reason: 'done' }, lastExit: EXIT } as const;
    assert.deepEqual(plan(appSpec(), done), [{ kind: 'unchanged', name: 'api' }]);
    const spec = appSpec({ autostart: false });
    assert.deepEqual(planChanges([spec], [view(spec, { state: STOPPED, wanted: 'down' })], ''), [
      { kind: 'unchanged', name: 'api' },
    ]);
  });
});

test('a change brings up what is down', () => {
  const [item, ...others] = plan(appSpec({ env: { A: '1' } }), { state: ERRORED });
  assert.deepEqual([item?.kind, others.length], ['change', 0]);
});

test('what came from the file and is not in it any more is removed', () => {
  const views = [view(appSpec(), { state: ONLINE })];
  assert.deepEqual(planChanges([], views, '/srv/apps.json'), [{ kind: 'remove', name: 'api', instances: 1 }]);
  assert.deepEqual(planChanges([], views, '/srv/others.json'), []);
});
