import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TailBuffer } from '../../src/logs/tail-buffer.ts';

const linesOf = (...chunks: readonly string[]): readonly string[] => {
  const buffer = new TailBuffer();
  for (const chunk of chunks) buffer.push(Buffer.from(chunk));
  return buffer.lines();
};
const numbered = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => `line ${from + index}`);

test('the last lines, whole however they came', () => {
  assert.deepEqual(linesOf('a\nb', 'c\n', 'd'), ['a', 'bc', 'd']);
});

test('characters that were cut between chunks, whole', () => {
  const text = 'Grüße 🎉';
  const buffer = new TailBuffer();
  for (const byte of Buffer.from(text)) buffer.push(Buffer.of(byte));
  assert.deepEqual(buffer.lines(), [text]);
  buffer.push(Buffer.from('ü').subarray(0, 1));
  buffer.clear();
  buffer.push(Buffer.from('new'));
  assert.deepEqual(buffer.lines(), ['new'], 'half a character goes with what is cleared');
});

test('no more than twelve', () => {
  assert.deepEqual(linesOf(`${numbered(0, 30).join('\n')}\n`), numbered(18, 30));
});

test('no empty lines, no white space at the end of one', () => {
  assert.deepEqual(linesOf('a \r\n\n   \n  b\n'), ['a', '  b']);
});

test('no more than 8 KiB, of many chunks or of one', () => {
  const long = 'x'.repeat(10_000);
  for (const chunks of [[long], [long.slice(0, 5000), long.slice(5000)]])
    assert.deepEqual(
      linesOf(...chunks).map(({ length }) => length),
      [8192],
    );
});

test('nothing, after it was cleared', () => {
  const buffer = new TailBuffer();
  buffer.push(Buffer.from('old'));
  buffer.clear();
  assert.deepEqual(buffer.lines(), []);
  buffer.push(Buffer.from('new'));
  assert.deepEqual(buffer.lines(), ['new']);
});
