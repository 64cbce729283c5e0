import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseMoment, readQuery } from '../../src/cli/log-query.ts';

const NOW = new Date(2026, 0, 2, 12, 0, 0).getTime();
const query = (options: Record<string, unknown>) => readQuery(options, NOW);
const matching = (options: Record<string, unknown>, lines: readonly string[]) =>
  lines.filter(query(options).wanted.matches);

describe('moments', () => {
  const rows: readonly (readonly [text: string, time: number | null])[] = [
    ['10m', NOW - 600_000],
    ['1h30m', NOW - 5_400_000],
    ['1.5h', NOW - 5_400_000],
    ['2d', NOW - 2 * 86_400_000],
    ['now', NOW],
    ['30s', NOW - 30_000],
    ['1w', NOW - 7 * 86_400_000],
    ['12:00', NOW],
    ['12:01', new Date(2026, 0, 1, 12, 1).getTime()],
    ['23:00', new Date(2026, 0, 1, 23).getTime()],
    ['09:30', new Date(2026, 0, 2, 9, 30).getTime()],
    ['9:30:15', new Date(2026, 0, 2, 9, 30, 15).getTime()],
    ['2025-12-31', new Date(2025, 11, 31).getTime()],
    ['2025-12-31 23:59', new Date(2025, 11, 31, 23, 59).getTime()],
    ['2025-12-31T23:59:58.5Z', Date.UTC(2025, 11, 31, 23, 59, 58, 500)],
    ['2025-12-31 23:59+01:00', Date.UTC(2025, 11, 31, 22, 59)],
    ['10', null],
    ['10 minutes', null],
    ['25:00', null],
    ['2025-13-41', null],
    ['', null],
  ];
  for (const [text, time] of rows) test(JSON.stringify(text), () => assert.equal(parseMoment(text, NOW), time));
});

describe('what logs is asked for', () => {
  test('the last 15 lines, or all since a time', () => {
    assert.equal(query({}).count, 15);
    assert.equal(query({ lines: '3' }).count, 3);
    assert.equal(query({ since: '1h' }).count, null);
    assert.equal(query({ since: '1h', lines: '3' }).count, 3);
  });

  test('to follow, unless it ends in the past', () => {
    assert.equal(query({}).follow, true);
    assert.equal(query({ nostream: true }).follow, false);
    assert.equal(query({ until: '1h' }).follow, false);
    assert.equal(query({ until: '2026-01-02 13:00' }).follow, true);
    assert.equal(query({ since: '11:00', until: '13:00' }).follow, true);
    assert.equal(query({ until: '13:00' }).follow, false);
  });

  test('until a time of day: the first one after --since, the last one without', () => {
    const until = (options: Record<string, unknown>) => query(options).wanted.until;
    assert.equal(until({ until: '13:00' }), new Date(2026, 0, 1, 13).getTime());
    assert.equal(until({ since: '9:00', until: '13:00' }), new Date(2026, 0, 2, 13).getTime());
    assert.equal(until({ since: '22:00', until: '23:00' }), new Date(2026, 0, 1, 23).getTime());
    assert.equal(until({ since: '22:00', until: '2:00' }), new Date(2026, 0, 2, 2).getTime());
    assert.equal(until({ since: '2025-12-24', until: '2:00' }), new Date(2025, 11, 24, 2).getTime());
  });

  test('and tells of times that may not be meant so', () => {
    assert.deepEqual(query({ since: '23:00', until: '2026-01-02 12:00' }).notes, []);
    assert.match(
      query({ since: '2026-01-03' }).notes.join('\n'),
      /^--since is in the future: Sat Jan 03 2026 00:00:00 .*$/,
    );
    assert.match(
      query({ until: '2026-01-03' }).notes.join('\n'),
      /^--until is in the future: Sat Jan 03 2026 00:00:00 .*$/,
    );
    assert.match(
      query({ since: '1h', until: '2h' }).notes.join('\n'),
      /^there is nothing to show: --since \(.*\) is after --until \(.*\)$/,
    );
  });

  test('both streams, or one', () => {
    const streams = ({ out, err }: { out: boolean; err: boolean }) => [out, err];
    assert.deepEqual(streams(query({})), [true, true]);
    assert.deepEqual(streams(query({ out: true })), [true, false]);
    assert.deepEqual(streams(query({ err: true })), [false, true]);
    assert.deepEqual(streams(query({ err: true, out: true })), [true, true]);
  });

  test('lines that match', () => {
    assert.deepEqual(matching({ grep: 'a.c' }, ['abc', 'ABC', 'ac']), ['abc']);
    assert.deepEqual(matching({ grep: '/a.c/ig' }, ['abc', 'ABC', 'abc']), ['abc', 'ABC', 'abc']);
  });

  test('lines of a level and above', () => {
    const lines = [
      '{"level":30,"msg":"x"}',
      '{"level":50}',
      '{"level":"WARN"}',
      '{"severity":"error"}',
      '2026-01-01: {"level":"fatal"}',
      '{"level":"loud"}',
      '{"level":',
      'plain error',
      '{}',
    ];
    assert.deepEqual(matching({ level: 'warn' }, lines), lines.slice(1, 5));
    assert.deepEqual(matching({ level: '30' }, lines), lines.slice(0, 5));
    assert.deepEqual(matching({ level: 'warn', grep: 'fatal' }, lines), [lines[4]]);
  });

  const mistakes: readonly (readonly [Record<string, unknown>, RegExp])[] = [
    [{ lines: 'few' }, /--lines takes a number, got "few"/],
    [{ since: 'yesterday' }, /--since: expected a time, got "yesterday"/],
    [{ until: 'x' }, /--until: expected a time, got "x"/],
    [{ grep: '(' }, /--grep: \( is no regular expression/],
    [{ level: 'loud' }, /--level: there is no level "loud"/],
  ];
  for (const [options, message] of mistakes)
    test(`a mistake: ${JSON.stringify(options)}`, () =>
      assert.throws(() => query(options), { code: 'USAGE', message }));
});
