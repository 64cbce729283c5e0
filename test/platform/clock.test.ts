import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { systemClock } from '../../src/platform/clock.ts';

const HOUR_MS = 3_600_000;
const near = (actual: number, expected: number) => assert.ok(Math.abs(actual - expected) < 500, `${actual}`);

test('a wall clock that is set changes what is told of it, and no duration', (t) => {
  const { now: wall } = Date;
  let offMs = 0;
  t.mock.method(Date, 'now', () => wall() + offMs);
  const told = () => systemClock.now() + systemClock.epoch();
  for (const setTo of [0, HOUR_MS, -2 * HOUR_MS, 0]) {
    const before = systemClock.now();
    offMs = setTo;
    near(told(), wall() + setTo);
    near(systemClock.now(), before);
  }
});

test('one that is kept right by little changes nothing that was told', (t) => {
  const { now: wall } = Date;
  const before = systemClock.epoch();
  t.mock.method(Date, 'now', () => wall() + 400);
  assert.equal(systemClock.epoch(), before);
});

test('its time is that of every other process', () => {
  const before = systemClock.now();
  const [seconds, nanoseconds] = JSON.parse(
    execFileSync(process.execPath, ['-p', 'JSON.stringify(process.hrtime())'], { encoding: 'utf8' }),
  ) as [number, number];
  const there = seconds * 1000 + nanoseconds / 1e6;
  assert.ok(before - 1 <= there && there <= systemClock.now() + 1, `${before} ${there}`);
});
