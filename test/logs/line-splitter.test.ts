import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { LineSplitter, LONGEST_LINE_BYTES } from '../../src/logs/line-splitter.ts';
import * as fc from '../fakes/fast-check.ts';

/** Feeds chunks from one buffer that is used again and again, as those of a pipe are. */
function split(chunks: readonly (string | Uint8Array)[], { flush = false } = {}): Buffer[] {
  const written: Buffer[] = [];
  const splitter = new LineSplitter((lines) => written.push(Buffer.from(lines)));
  const shared = Buffer.alloc(Math.max(0, ...chunks.map((chunk) => Buffer.byteLength(chunk))));
  for (const chunk of chunks) {
    const bytes = Buffer.from(chunk as string);
    bytes.copy(shared);
    splitter.push(shared.subarray(0, bytes.length));
    shared.fill('?');
  }
  if (flush) splitter.flush();
  return written;
}

const texts = (written: readonly Buffer[]) => written.map(String);

describe('LineSplitter', () => {
  const rows: readonly (readonly [chunks: readonly string[], written: readonly string[]])[] = [
    [['a\n'], ['a\n']],
    [['a\nb\n'], ['a\nb\n']],
    [['a', 'b\n'], ['ab\n']],
    [['a', 'b', 'c\nd'], ['abc\n']],
    [
      ['a\nb', 'c\nd\ne', 'f\n'],
      ['a\n', 'bc\nd\n', 'ef\n'],
    ],
    [['\n\n'], ['\n\n']],
    [['', 'a', '', '\n'], ['a\n']],
    [['unfinished'], []],
  ];
  for (const [chunks, written] of rows)
    test(`${JSON.stringify(chunks)} gives ${JSON.stringify(written)}`, () =>
      assert.deepEqual(texts(split(chunks)), written));

  test('ends an unfinished line when it is flushed, once', () => {
    assert.deepEqual(texts(split(['a\nb'], { flush: true })), ['a\n', 'b\n']);
    assert.deepEqual(texts(split(['a\n'], { flush: true })), ['a\n']);
    assert.deepEqual(texts(split([], { flush: true })), []);
  });

  test('goes on after a flush', () => {
    const written: string[] = [];
    const splitter = new LineSplitter((lines) => written.push(String(lines)));
    for (const text of ['a', 'b\n']) {
      splitter.push(Buffer.from(text));
      splitter.flush();
    }
    assert.deepEqual(written, ['a\n', 'b\n']);
  });

  test('puts a character together that was cut', () => {
    const bytes = Buffer.from('ü🎉\n');
    assert.deepEqual(texts(split([...bytes].map((byte) => Uint8Array.of(byte)))), ['ü🎉\n']);
  });

  test('keeps no line without end in memory, and says what is cut, between characters', () => {
    const pieces: (readonly [length: number, cut: boolean])[] = [];
    const texts: string[] = [];
    const splitter = new LineSplitter((lines, cut) => {
      pieces.push([lines.length, cut]);
      texts.push(String(lines));
    });
    const chunk = Buffer.from('ü'.repeat(32 * 1024));
    for (let count = 0; count < 4; count++) splitter.push(chunk);
    splitter.push(Buffer.from('ü').subarray(0, 1));
    splitter.push(Buffer.from('ü').subarray(1));
    splitter.push(Buffer.from('z\n'));
    assert.deepEqual(pieces, [
      [LONGEST_LINE_BYTES, true],
      [4, false],
    ]);
    assert.equal(texts.join(''), `${'ü'.repeat(4 * 32 * 1024 + 1)}z\n`);
  });

  test('loses and makes up nothing, and writes whole lines only', () => {
    const piece = fc.uint8Array({ maxLength: 12 }).map((bytes) => bytes.map((byte) => (byte % 5 === 0 ? 10 : byte)));
    fc.assert(
      fc.property(fc.array(piece), (chunks) => {
        const written = split(chunks, { flush: true });
        for (const lines of written) assert.equal(lines.at(-1), 10);
        const all = Buffer.concat(chunks);
        const ended = all.length > 0 && all.at(-1) !== 10 ? Buffer.concat([all, Buffer.of(10)]) : all;
        assert.deepEqual(Buffer.concat(written), ended);
      }),
    );
  });
});
