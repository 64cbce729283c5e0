import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { expired, type SizedSegment } from '../../src/logs/retention.ts';

const NOW = 1_000_000;
type Limits = Parameters<typeof expired>[1];
const NO_LIMITS: Limits = { retain: null, maxAgeMs: null, maxTotalBytes: null };

const segment = (log: string, age: number | null, bytes = 10): SizedSegment => ({
  path: age === null ? log : `${log}.${age}`,
  log,
  rotatedAt: age === null ? null : NOW - age,
  gz: false,
  bytes,
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
