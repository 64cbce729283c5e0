import assert from 'node:assert/strict';
import { appendFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { LogSnapshot, type Wanted } from '../../src/logs/log-snapshot.ts';
import { rotatedPath } from '../../src/logs/rotation.ts';
import * as fc from '../fakes/fast-check.ts';
import { tempFolder } from '../fakes/temp-folder.ts';

const ALL: Wanted = { since: null, until: null, encoding: 'utf8', matches: () => true };
const DAY = 86_400_000;
const START = Date.UTC(2026, 0, 1);

/** A log of some files, the oldest first; the last is the one that is written to. Older ones may be compressed. */
function logOf(t: TestContext, files: readonly string[], { gz = 0 } = {}): string {
  const log = join(tempFolder(t), 'a.log');
  for (const [index, text] of files.slice(0, -1).entries()) {
    const path = rotatedPath(log, START + (index + 1) * DAY);
    if (index < gz) writeFileSync(`${path}.gz`, gzipSync(text));
    else writeFileSync(path, text);
  }
  writeFileSync(log, files.at(-1) ?? '');
  return log;
}

async function tail(log: string, count: number, wanted: Partial<Wanted> = {}): Promise<string[]> {
  const snapshot = new LogSnapshot(log, false);
  const lines = await snapshot.tail(count, { ...ALL, ...wanted });
  snapshot.close();
  return lines.map(({ text }) => text);
}

async function lines(log: string, wanted: Partial<Wanted> = {}): Promise<string[]> {
  const snapshot = new LogSnapshot(log, false);
  const found: string[] = [];
  for await (const block of snapshot.lines({ ...ALL, ...wanted })) found.push(...block.map(({ text }) => text));
  snapshot.close();
  return found;
}

describe('the last lines', () => {
  const rows: readonly (readonly [content: string, count: number, lines: readonly string[]])[] = [
    ['', 5, []],
    ['a\nb\nc\n', 2, ['b', 'c']],
    ['a\nb\nc\n', 3, ['a', 'b', 'c']],
    ['a\nb\nc\n', 100, ['a', 'b', 'c']],
    ['a\nb\nc', 2, ['b', 'c']],
    ['a\n\n\n', 2, ['', '']],
    ['\n', 5, ['']],
    ['a\nb\n', 0, []],
    ['ü\n🎉\n', 1, ['🎉']],
  ];
  for (const [content, count, expected] of rows)
    test(`${count} of ${JSON.stringify(content)}`, async (t) => {
      assert.deepEqual(await tail(logOf(t, [content]), count), expected);
    });

  test('over the borders of blocks, at any place of them', async (t) => {
    const log = logOf(t, ['']);
    for (const length of [65_535, 65_536, 65_537, 131_072]) {
      const content = `${'ü'.repeat(40_000)}\n${'y'.repeat(length)}\nz\n`;
      writeFileSync(log, content);
      assert.deepEqual(await tail(log, 3), content.split('\n').slice(0, 3));
      assert.deepEqual(await tail(log, 2), content.split('\n').slice(1, 3));
    }
  });

  test('of a huge file are found at its end', async (t) => {
    const log = logOf(t, ['']);
    // A hole, as it takes no time to make: it holds zeros, and no newline.
    truncateSync(log, 8 * 1024 ** 3);
    appendFileSync(log, '\none\ntwo\n');
    assert.deepEqual(await tail(log, 2), ['one', 'two']);
  });

  test('go on in what was set aside, compressed or not', async (t) => {
    const log = logOf(t, ['a\nb\n', 'c\nd\n', 'e\nf\n', 'g\n'], { gz: 2 });
    assert.deepEqual(await tail(log, 2), ['f', 'g']);
    assert.deepEqual(await tail(log, 4), ['d', 'e', 'f', 'g']);
    assert.deepEqual(await tail(log, 6), ['b', 'c', 'd', 'e', 'f', 'g']);
    assert.deepEqual(await tail(log, 100), ['a', 'b', 'c', 'd', 'e', 'f', 'g']);
    assert.deepEqual(await tail(log, 2, { matches: (text) => 'aceg'.includes(text) }), ['e', 'g']);
    assert.deepEqual(await tail(log, 3, { matches: (text) => 'abg'.includes(text) }), ['a', 'b', 'g']);
  });

  test('are what it ends with, whatever it holds', async (t) => {
    const text = fc.string({ maxLength: 40 }).map((all) => all.replace(/[^a-p]/g, '\n'));
    await fc.assert(
      fc.asyncProperty(
        fc.array(text, { minLength: 1, maxLength: 4 }),
        fc.nat(12),
        fc.nat(3),
        async (parts, count, gz) => {
          const files = parts.map((part, index) => (index < parts.length - 1 && part ? `${part}\n` : part));
          const all = files.flatMap((file) =>
            file.split('\n').slice(0, file.endsWith('\n') || file === '' ? -1 : undefined),
          );
          const log = logOf(t, files, { gz });
          assert.deepEqual(await tail(log, count), count === 0 ? [] : all.slice(-count));
          assert.deepEqual(await lines(log), all);
        },
      ),
      { numRuns: 60 },
    );
  });

  test('of a log that is not there are none', async (t) => {
    assert.deepEqual(await tail(join(tempFolder(t), 'none.log'), 5), []);
  });
});

describe('a time', () => {
  test('leaves out files that were set aside before it, and lines by their own times', async (t) => {
    const line = (day: number) => `${new Date(START + day * DAY + 1000).toISOString()} day ${day}\n`;
    const log = logOf(t, [line(0), line(1), `${line(2)}  stack of it\n`, line(3)]);
    const since = START + 2 * DAY;
    assert.deepEqual(
      (await lines(log, { since })).map((text) => text.slice(-5)),
      ['day 2', 'of it', 'day 3'],
    );
    assert.deepEqual(
      (await lines(log, { until: since })).map((text) => text.slice(-5)),
      ['day 0', 'day 1'],
    );
    assert.equal((await tail(log, 10, { since })).length, 2 + 1);
  });
});

describe('a snapshot', () => {
  test('is of one moment: what is written or set aside later is not in it', async (t) => {
    const log = logOf(t, ['a\n', 'b\n', 'c\n']);
    const snapshot = new LogSnapshot(log, false);
    appendFileSync(log, 'd\n');
    renameSync(log, rotatedPath(log, START + 10 * DAY));
    assert.deepEqual(
      (await snapshot.tail(10, ALL)).map(({ text }) => text),
      ['a', 'b', 'c'],
    );
    snapshot.close();
  });

  test('has what is compressed meanwhile, and does without what is removed', async (t) => {
    const log = logOf(t, ['a\n', 'b\n', 'c\n']);
    const snapshot = new LogSnapshot(log, false);
    rmSync(rotatedPath(log, START + DAY));
    const second = rotatedPath(log, START + 2 * DAY);
    writeFileSync(`${second}.gz`, gzipSync('b\n'));
    rmSync(second);
    const texts = (await snapshot.tail(10, ALL)).map(({ text }) => text);
    assert.deepEqual(texts, ['b', 'c']);
    snapshot.close();
  });

  test('leaves an unfinished line for later, where that follows', async (t) => {
    const log = logOf(t, ['a\nunfin']);
    const snapshot = new LogSnapshot(log, true);
    assert.deepEqual(
      (await snapshot.tail(10, ALL)).map(({ text }) => text),
      ['a'],
    );
    assert.equal(snapshot.end?.offset, 2);
    snapshot.close();
  });
});
