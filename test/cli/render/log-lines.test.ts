import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { linePrinter } from '../../../src/cli/render/log-lines.ts';

const NOON = new Date(2026, 0, 2, 12, 30, 59).getTime();
const line = { time: NOON, text: 'hello', source: { path: '/a.log', app: 'api', id: 0, stream: 'out' } } as const;

describe('lines with the time', () => {
  for (const [format, shown] of [
    ['HH:mm', '12:30: '],
    ['YYYYMMDDTHHmmss', '20260102T123059: '],
    ['[at] H', 'at 12: '],
    ['HH:mm [Uhr]', '12:30 Uhr: '],
  ] as const)
    test(format, async () => {
      const print = await linePrinter({ timestamp: format });
      assert.ok(print(line).endsWith(`| ${shown}hello`), print(line));
    });

  for (const format of ['cnt', 'app', 'jobs', '0', '[HH]', ''])
    test(`${JSON.stringify(format)} is no format`, () =>
      assert.rejects(linePrinter({ timestamp: format }), {
        code: 'USAGE',
        message: `--timestamp: ${JSON.stringify(format)} is no format of a time`,
      }));
});

describe('shapes exclude each other', () => {
  for (const [options, message] of [
    [{ json: true, raw: true }, '--json and --raw exclude each other'],
    [{ json: true, format: true }, '--json and --format exclude each other'],
    [{ json: true, timestamp: 'HH' }, '--json and --timestamp exclude each other'],
    [{ raw: true, timestamp: true }, '--raw and --timestamp exclude each other'],
    [{ format: true, raw: true, timestamp: true }, '--raw and --format and --timestamp exclude each other'],
  ] as const)
    test(message, () => assert.rejects(linePrinter(options), { code: 'USAGE', message }));
});
