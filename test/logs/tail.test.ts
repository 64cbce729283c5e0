import assert from 'node:assert/strict';
import { appendFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { readTail } from '../../src/logs/tail.ts';
import { tempFolder } from '../fakes/temp-folder.ts';

function file(t: TestContext, content: string | Uint8Array): string {
  const path = join(tempFolder(t), 'out.log');
  writeFileSync(path, content);
  return path;
}

describe('readTail', () => {
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
  for (const [content, count, lines] of rows)
    test(`${count} of ${JSON.stringify(content)}`, (t) => {
      assert.deepEqual(readTail(file(t, content), count), { lines, end: Buffer.byteLength(content) });
    });

  test('reads over the borders of its blocks, at any place of them', (t) => {
    const path = file(t, '');
    for (const length of [65_535, 65_536, 65_537, 131_072]) {
      const first = 'ü'.repeat(40_000);
      const content = `${first}\n${'y'.repeat(length)}\nz\n`;
      writeFileSync(path, content);
      assert.deepEqual(readTail(path, 3).lines, content.split('\n').slice(0, 3));
      assert.deepEqual(readTail(path, 2).lines, content.split('\n').slice(1, 3));
    }
  });

  test('finds the last lines of a huge file at its end', (t) => {
    const path = file(t, '');
    // A hole, as it takes no time to make: it holds zeros, and no newline.
    truncateSync(path, 8 * 1024 ** 3);
    appendFileSync(path, '\none\ntwo\n');
    assert.deepEqual(readTail(path, 2), { lines: ['one', 'two'], end: 8 * 1024 ** 3 + 9 });
  });

  test('of a file that is not there is empty', (t) => {
    assert.deepEqual(readTail(join(tempFolder(t), 'none.log'), 5), { lines: [], end: 0 });
  });

  test('says what cannot be read', (t) => {
    assert.throws(() => readTail(join(file(t, ''), 'out.log'), 5), { code: 'ENOTDIR' });
  });
});
