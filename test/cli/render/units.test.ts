import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatBytes, formatDuration } from '../../../src/cli/render/units.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

for (const [ms, text] of [
  [-5, '0s'],
  [999, '0s'],
  [SECOND, '1s'],
  [MINUTE - 1, '59s'],
  [MINUTE, '1m'],
  [HOUR - 1, '59m'],
  [HOUR, '1h'],
  [24 * HOUR - 1, '23h'],
  [24 * HOUR, '1D'],
  [400 * 24 * HOUR, '400D'],
] as const)
  test(`${ms} ms are ${text}`, () => assert.equal(formatDuration(ms), text));

for (const [bytes, text] of [
  [0, '0 B'],
  [1023, '1023 B'],
  [1024, '1.0 kB'],
  [1536, '1.5 kB'],
  [45 * 1024 ** 2, '45.0 MB'],
  [2.25 * 1024 ** 3, '2.3 GB'],
  [5000 * 1024 ** 4, '5000.0 TB'],
] as const)
  test(`${bytes} bytes are ${text}`, () => assert.equal(formatBytes(bytes), text));
