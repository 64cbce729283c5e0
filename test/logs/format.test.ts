import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { LogSpec } from '../../src/domain/app-spec.ts';
import { formatOf, noteOf } from '../../src/logs/format.ts';
import { appSpec } from '../fakes/app-spec.ts';
import * as fc from '../fakes/fast-check.ts';

const NOW = Date.UTC(2026, 0, 2, 3, 4, 5, 678);

/** What becomes of chunks, from one buffer that is used again and again. */
function formatted(logs: Partial<LogSpec>, chunks: readonly (string | Uint8Array)[], { flush = false } = {}): string {
  const parts: Buffer[] = [];
  const origin = { spec: appSpec({ logs }), id: 3, stream: 'out' } as const;
  const format = formatOf(
    origin,
    (bytes) => parts.push(Buffer.from(bytes)),
    () => NOW,
  );
  const shared = Buffer.alloc(2_000_000);
  for (const chunk of chunks) {
    const bytes = Buffer.from(chunk as string);
    bytes.copy(shared);
    format.push(shared.subarray(0, bytes.length));
    shared.fill('?', 0, bytes.length);
  }
  if (flush) format.flush();
  return Buffer.concat(parts).toString('utf8');
}

const objects = (text: string) =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

const JSON_LOG = { type: 'json' } as const;
const BASE = { time: '2026-01-02T03:04:05.678Z', app: 'api', instance: 3, stream: 'out', release: '/srv' };

/** Chunks of text that is cut anywhere. */
const pieces = fc
  .tuple(fc.string({ unit: 'binary', maxLength: 200 }), fc.array(fc.nat(300), { maxLength: 6 }))
  .map(([text, cuts]) => {
    const bytes = Buffer.from(text.replaceAll('b', '\n').replaceAll('c', '"').replaceAll('d', '\\'));
    const at = [0, ...cuts.map((cut) => Math.min(cut, bytes.length)).toSorted((a, b) => a - b), bytes.length];
    return { bytes, chunks: at.slice(1).map((end, index) => bytes.subarray(at[index], end)) };
  });

describe('plain', () => {
  test('is passed on as it is, at once', () => {
    assert.equal(formatted({}, ['a\nb', 'c']), 'a\nbc');
  });
});

describe('with the time', () => {
  const logs = { dateFormat: 'YYYY/MM/DD [at] ss.SSS' };
  const stamp = '2026/01/02 at 05.678: ';

  test('each line begins with it, unfinished ones are passed on at once', () => {
    assert.equal(formatted(logs, ['a\nb', 'c\n', '\n', 'd']), `${stamp}a\n${stamp}bc\n${stamp}\n${stamp}d`);
  });

  test('whatever the lines and however they come', () => {
    fc.assert(
      fc.property(pieces, ({ bytes, chunks }) => {
        const lines = bytes.toString('latin1').split(/(?<=\n)/);
        const expected = lines.map((line) => (line === '' ? '' : `${stamp}${line}`)).join('');
        assert.equal(formatted(logs, chunks), Buffer.from(expected, 'latin1').toString('utf8'));
      }),
    );
  });

  test('many short lines in one chunk', () => {
    assert.equal(formatted(logs, ['\n'.repeat(65_536)]), `${stamp}\n`.repeat(65_536));
  });
});

describe('as JSON', () => {
  test('a line is an object', () => {
    assert.deepEqual(objects(formatted(JSON_LOG, ['hel', 'lo\n"quoted" \\ tab\t\x1b[31mred\n'])), [
      { ...BASE, message: 'hello' },
      { ...BASE, message: '"quoted" \\ tab\t\x1b[31mred' },
    ]);
  });

  test('a line that is an object keeps its fields; those of upkeep have its names', () => {
    const own = [
      '{"level":30,"msg":"x"}',
      '{}',
      '{"time":1,"app":"other","a":{"time":2}}',
      '{"message":"own"}',
      ' {"a":1}',
    ];
    assert.deepEqual(objects(formatted(JSON_LOG, [`${own.join('\n')}\n`])), [
      { ...BASE, level: 30, msg: 'x' },
      BASE,
      { ...BASE, app_time: 1, app_app: 'other', a: { time: 2 } },
      { ...BASE, message: 'own' },
      { ...BASE, message: ' {"a":1}' },
    ]);
  });

  test('a line that is other JSON, or nearly JSON, is a text', () => {
    for (const line of ['[1]', '1', 'null', '{"a":1', '{a:1}', '{"a":1}x', '{'])
      assert.deepEqual(objects(formatted(JSON_LOG, [`${line}\n`])), [{ ...BASE, message: line }]);
  });

  test('an unfinished line waits for its end, or that of the process', () => {
    assert.equal(formatted(JSON_LOG, ['unfinished']), '');
    assert.deepEqual(objects(formatted(JSON_LOG, ['unfinished'], { flush: true })), [
      { ...BASE, message: 'unfinished' },
    ]);
  });

  test('any bytes give one valid object for each line, with the text that they are', () => {
    fc.assert(
      fc.property(pieces, fc.array(fc.uint8Array({ maxLength: 30 })), ({ chunks }, binary) => {
        const all = [...chunks, ...binary, Buffer.from('\n')];
        const lines = Buffer.concat(all).toString('utf8').split('\n').slice(0, -1);
        const messages = objects(formatted(JSON_LOG, all)).map((object) => object['message']);
        assert.deepEqual(
          messages,
          lines.map((line) => (/^\{\s*\}\s*$/.test(line) ? undefined : line)),
        );
      }),
      { numRuns: 300 },
    );
  });

  test('long lines, and many at once', () => {
    const long = 'ü"'.repeat(60_000);
    assert.deepEqual(objects(formatted(JSON_LOG, [`${long}\n`])), [{ ...BASE, message: long }]);
    assert.equal(objects(formatted(JSON_LOG, ['\n'.repeat(65_536)])).length, 65_536);
    const own = `{"a":"${'x'.repeat(100_000)}"}`;
    assert.deepEqual(objects(formatted(JSON_LOG, [`${own}\n`])), [{ ...BASE, a: 'x'.repeat(100_000) }]);
  });

  test('a line that is too long comes in pieces that say so, cut between characters', () => {
    const cut = objects(formatted(JSON_LOG, [...Array.from({ length: 5 }, () => 'ü'.repeat(32_767)), 'end\n']));
    assert.deepEqual(
      cut.map((piece) => piece['cut']),
      [true, undefined],
    );
    assert.equal(cut.map(({ message }) => message).join(''), `${'ü'.repeat(5 * 32_767)}end`);
  });

  test('the time may have a format too', () => {
    const [object] = objects(formatted({ ...JSON_LOG, dateFormat: 'YYYY' }, ['x\n']));
    assert.deepEqual(object, { ...BASE, time: '2026', message: 'x' });
  });
});

describe('a line of upkeep', () => {
  const note = (logs: Partial<LogSpec>, text: string) =>
    noteOf({ spec: appSpec({ logs }), id: 3, stream: 'err' }, () => NOW)(text).toString();

  test('is as the log has its lines', () => {
    assert.equal(note({}, 'a\nb'), 'upkeep: a\nb\n');
    assert.equal(note({ dateFormat: 'YYYY' }, 'a\nb'), '2026: upkeep: a\n2026: b\n');
    assert.deepEqual(JSON.parse(note(JSON_LOG, 'a')), { ...BASE, stream: 'err', message: 'upkeep: a' });
  });
});
