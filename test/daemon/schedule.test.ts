import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Schedule } from '../../src/daemon/schedule.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** Local time, as cron patterns are. */
const NOON = new Date(2026, 5, 1, 12, 0, 0).getTime();

class Box {
  now = NOON;
  readonly due: string[] = [];
  readonly schedule: Schedule;

  constructor(t: TestContext, patterns: Readonly<Record<string, string>>) {
    this.schedule = new Schedule(
      () => this.now,
      (key) => this.due.push(key),
    );
    this.schedule.set(new Map(Object.entries(patterns)));
    t.after(() => this.schedule.close());
  }

  at(ms: number): string[] {
    this.now = NOON + ms;
    this.schedule.look();
    return this.due.splice(0);
  }
}

test('a pattern is due at its times, and not before', (t) => {
  const box = new Box(t, { a: '30 * * * *', b: '0 0 13 * * *' });
  assert.equal(box.schedule.next('a'), NOON + HOUR_MS / 2);
  assert.deepEqual(box.at(HOUR_MS / 2 - 1), []);
  assert.deepEqual(box.at(HOUR_MS / 2), ['a']);
  assert.deepEqual(box.at(HOUR_MS / 2 + 1), []);
  assert.deepEqual(box.at(HOUR_MS), ['b']);
});

test('times that nobody saw pass count once', (t) => {
  const box = new Box(t, { a: '* * * * *' });
  assert.deepEqual(box.at(HOUR_MS), ['a']);
  assert.deepEqual(box.at(HOUR_MS + 59_999), []);
  assert.deepEqual(box.at(HOUR_MS + 60_000), ['a']);
});

test('a clock set back an hour repeats nothing, one set back a day begins anew', (t) => {
  const box = new Box(t, { a: '*/10 * * * *' });
  assert.deepEqual(box.at(10 * 60_000), ['a']);
  assert.deepEqual(box.at(10 * 60_000 - HOUR_MS), []);
  assert.deepEqual(box.at(0), []);
  assert.deepEqual(box.at(20 * 60_000), ['a']);
  assert.deepEqual(box.at(-DAY_MS), []);
  assert.deepEqual(box.at(-DAY_MS + 10 * 60_000), ['a']);
});

test('a pattern that stays keeps its time, a new one is counted from now, one that goes is forgotten', (t) => {
  const box = new Box(t, { a: '0 13 * * *', b: '0 13 * * *' });
  box.now = NOON + 2 * HOUR_MS;
  box.schedule.set(
    new Map([
      ['a', '0 13 * * *'],
      ['c', '0 13 * * *'],
    ]),
  );
  box.schedule.look();
  assert.deepEqual(box.due, ['a']);
  assert.equal(box.schedule.next('c'), NOON + HOUR_MS + DAY_MS);
  assert.equal(box.schedule.next('b'), null);
});
