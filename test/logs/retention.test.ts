import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { expired, fairShare } from '../../src/logs/retention.ts';
import type { SizedSegment } from '../../src/logs/segments.ts';

const NOW = 1_000_000;
type Limits = Parameters<typeof expired>[1];
const NO_LIMITS: Limits = { retain: null, maxAgeMs: null, maxTotalBytes: null };

const segment = (log: string, age: number | null, bytes = 10): SizedSegment => ({
  path: age === null ? log : `${log}.${age}`,
  log,
  rotatedAt: age === null ? null : NOW - age,
  gz: false,
  bytes,
  changedAt: NOW - (age ?? 0),
});
const all = [segment('a', null, 5), ...[1, 2, 3, 4].map((age) => segment('a', age)), segment('b', 2), segment('b', 9)];
const removed = (limits: Partial<Limits>) =>
  expired(all, { ...NO_LIMITS, ...limits }, NOW)
    .map(({ path }) => path)
    .toSorted();

describe('expired', () => {
  test('without limits: nothing', () => assert.deepEqual(removed({}), []));
  test('more than are kept of each log: the oldest', () => assert.deepEqual(removed({ retain: 2 }), ['a.3', 'a.4']));
  test('0 are kept: all that were set aside', () => assert.equal(removed({ retain: 0 }).length, 6));
  test('too old', () => assert.deepEqual(removed({ maxAgeMs: 3 }), ['a.4', 'b.9']));
  test('too much in all: the oldest of any log', () => {
    assert.deepEqual(removed({ maxTotalBytes: 45 }), ['a.4', 'b.9']);
    assert.deepEqual(removed({ maxTotalBytes: 44 }), ['a.3', 'a.4', 'b.9']);
  });
  test('what is written to counts, and is never removed', () => {
    assert.equal(removed({ maxTotalBytes: 1 }).length, 6);
    assert.deepEqual(expired([segment('a', null, 1e9)], { ...NO_LIMITS, retain: 0, maxTotalBytes: 1 }, NOW), []);
  });
  test('what is removed for another reason does not count', () => {
    assert.deepEqual(removed({ retain: 1, maxTotalBytes: 25 }), ['a.2', 'a.3', 'a.4', 'b.9']);
  });
});

test('a file whose name tells a time to come is as old as its last change', () => {
  const future = { ...segment('a', -1e9), changedAt: NOW - 5 };
  assert.deepEqual(expired([future], { ...NO_LIMITS, maxAgeMs: 4 }, NOW), [future]);
  assert.deepEqual(expired([future], { ...NO_LIMITS, maxAgeMs: 5 }, NOW), []);
});

test('of what all may hold, those that hold most give, and who holds less than an equal share gives nothing', () => {
  assert.equal(fairShare([], 10), Infinity);
  assert.equal(fairShare([4, 6], 10), Infinity);
  assert.equal(fairShare([4, 7], 10), 6);
  assert.equal(fairShare([1e9, 2, 3], 10), 5);
  assert.equal(fairShare([9, 9, 9], 9), 3);
});
