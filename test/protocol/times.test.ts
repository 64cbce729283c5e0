import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { InstanceState } from '../../src/domain/instance.ts';
import type { InstanceSnapshot } from '../../src/protocol/messages.ts';
import { shiftTimes } from '../../src/protocol/times.ts';

const exit = { code: 1, signal: null, at: 50, uptimeMs: 7, reason: 'exited with code 1' };
const progress = { mainRan: true, listening: false, said: false, probed: false, notReady: null };

const snapshot = (state: InstanceState): InstanceSnapshot => ({
  key: 'k',
  id: 3,
  index: 0,
  state,
  restarts: 2,
  unstable: 1,
  lastExit: exit,
  exits: [exit, { ...exit, at: 40 }],
  unhealthy: null,
  lost: null,
  listens: [],
  draining: [],
  generation: 1,
});

const next = { kind: 'stop' } as const;
const states: readonly (readonly [InstanceState, InstanceState])[] = [
  [
    { kind: 'starting', pid: 9, since: 10, ...progress },
    { kind: 'starting', pid: 9, since: 1010, ...progress },
  ],
  [
    { kind: 'online', pid: 9, since: 10 },
    { kind: 'online', pid: 9, since: 1010 },
  ],
  [
    { kind: 'draining', pid: 9, since: 10, from: 20, how: 'gap', next },
    { kind: 'draining', pid: 9, since: 1010, from: 1020, how: 'gap', next },
  ],
  [
    { kind: 'stopping', pid: 9, since: 10, wasReady: true, exit: null, killed: false, next },
    { kind: 'stopping', pid: 9, since: 1010, wasReady: true, exit: null, killed: false, next },
  ],
  [
    { kind: 'backoff', until: 10, reason: 'r' },
    { kind: 'backoff', until: 1010, reason: 'r' },
  ],
  [
    { kind: 'stopped', reason: 'r' },
    { kind: 'stopped', reason: 'r' },
  ],
  [
    { kind: 'errored', reason: 'r' },
    { kind: 'errored', reason: 'r' },
  ],
];

for (const [before, after] of states) {
  test(`all times of a snapshot are shifted, and nothing else: ${before.kind}`, () => {
    const expected = { ...snapshot(after), lastExit: { ...exit, at: 1050 } };
    const shifted = shiftTimes(snapshot(before), 1000);
    assert.deepEqual(shifted, {
      ...expected,
      exits: [
        { ...exit, at: 1050 },
        { ...exit, at: 1040 },
      ],
    });
    assert.deepEqual(shiftTimes(shifted, -1000), snapshot(before));
  });
}

test('what has not ended yet has no time of that', () => {
  const fresh = { ...snapshot({ kind: 'stopped', reason: 'r' }), lastExit: null, exits: [] };
  assert.deepEqual(shiftTimes(fresh, 1000), fresh);
});
