import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { AppSpec, LivenessSpec } from '../../src/domain/app-spec.ts';
import { appSpec, clusterSpec } from '../fakes/app-spec.ts';
import { Supervised } from '../fakes/supervised.ts';

const MIB = 1024 ** 2;
const liveness: LivenessSpec = {
  check: { kind: 'http', path: '/health', port: null, tls: false },
  intervalMs: 500,
  timeoutMs: 2000,
  failures: 1,
  eventLoopMs: null,
};

/** Runs an app whose processes are never well for longer than a moment. */
async function alwaysIll(spec: AppSpec): Promise<Supervised> {
  const it = new Supervised(spec);
  it.ports.answers = () => 'status 500';
  for (let pid = 100; pid < 1000; pid++) it.ports.memory.set(pid, 43 * MIB);
  await it.run('start');
  return it;
}

/** @returns after how many seconds each restart of an instance came. */
async function restartTimes(it: Supervised, seconds: number, id = 0): Promise<readonly number[]> {
  const times: number[] = [];
  for (let second = 1; second <= seconds; second++) {
    await it.clock.advance(1000);
    while (it.snapshot(id).restarts > times.length) times.push(second);
  }
  return times;
}

describe('replacements that do not help come at growing intervals', () => {
  const limits = { maxMemoryBytes: 20 * MIB };
  for (const [what, spec] of [
    ['memory, fork mode', appSpec(limits)],
    ['memory, cluster', clusterSpec(limits)],
    ['liveness, fork mode', appSpec({ liveness })],
    ['liveness, cluster', clusterSpec({ liveness })],
  ] as const)
    test(what, async () => {
      const it = await alwaysIll(spec);
      const times = await restartTimes(it, 3000);
      const gaps = times.slice(1).map((time, at) => time - (times[at] ?? 0));
      assert.equal(times[0], 1);
      assert.deepEqual(
        gaps.map((gap) => 5 * Math.round(gap / 5)),
        [5, 10, 20, 40, 80, 160, 320, 600, 600, 600],
      );
      assert.equal(it.snapshot().unstable, 0);
    });
});

test('one that holds less again is well, whatever else is found', async () => {
  const it = await alwaysIll(appSpec({ maxMemoryBytes: 20 * MIB, liveness }));
  await restartTimes(it, 8);
  assert.match(it.snapshot().unhealthy ?? '', /status 500|held 43/);
  for (let pid = 100; pid < 1000; pid++) it.ports.memory.set(pid, MIB);
  await it.clock.advance(1000);
  assert.match(it.snapshot().unhealthy ?? '', /status 500/);
  it.ports.answers = () => null;
  await it.clock.advance(1000);
  assert.equal(it.snapshot().unhealthy, null);
});

test('one that was well for long is replaced at once', async () => {
  const it = await alwaysIll(appSpec({ liveness }));
  await restartTimes(it, 100);
  const { restarts } = it.snapshot();
  it.ports.answers = () => null;
  // Of the 80 s that it would have to wait, had it been well for less than a minute.
  await it.clock.advance(40_000);
  it.ports.answers = () => 'status 500';
  await it.clock.advance(500);
  assert.equal(it.snapshot().restarts, restarts + 1);
});

test('a command begins anew', async () => {
  const it = await alwaysIll(appSpec({ liveness }));
  await restartTimes(it, 100);
  await it.run('restart');
  const { restarts } = it.snapshot();
  await it.clock.advance(500);
  assert.equal(it.snapshot().restarts, restarts + 1);
});

for (const [what, more] of [
  ['above the limit of memory', { maxMemoryBytes: 20 * MIB }],
  ['that is not alive', { liveness }],
] as const)
  test(`each instance of a cluster ${what} has its turn, one at a time`, async () => {
    const it = await alwaysIll(clusterSpec({ instances: 3, ...more }));
    await it.clock.advance(41_000);
    const restarts = [0, 1, 2].map((id) => it.snapshot(id).restarts);
    assert.deepEqual(restarts, [4, 4, 4]);
  });
