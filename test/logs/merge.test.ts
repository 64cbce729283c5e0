import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { mergeLines, mergeStreams } from '../../src/logs/merge.ts';
import type { LogLine } from '../../src/logs/read-lines.ts';
import * as fc from '../fakes/fast-check.ts';

const lists = fc.array(
  fc.array(fc.nat(20)).map((times) => times.toSorted((a, b) => a - b)),
  { maxLength: 5 },
);
const named = (times: readonly (readonly number[])[]): LogLine[][] =>
  times.map((list, which) => list.map((time, index) => ({ time, text: `${which}.${index}` })));

describe('mergeLines', () => {
  test('puts all in the order of their times, and keeps that of each list', () => {
    fc.assert(
      fc.property(lists, (times) => {
        const merged = mergeLines(named(times));
        assert.equal(merged.length, times.flat().length);
        assert.deepEqual(
          merged.map(({ time }) => time),
          times.flat().toSorted((a, b) => a - b),
        );
        for (const list of named(times))
          assert.deepEqual(
            merged.filter(({ text }) => list.some((line) => line.text === text)).map(({ text }) => text),
            list.map(({ text }) => text),
          );
      }),
    );
  });

  test('keeps the order of a list whose times go back', () => {
    const lines = [3, 1, 2].map((time) => ({ time, text: String(time) }));
    assert.deepEqual(mergeLines([lines]), lines);
  });
});

describe('mergeStreams', () => {
  async function* inBlocks(lines: readonly LogLine[], size: number): AsyncGenerator<readonly LogLine[]> {
    for (let at = 0; at < lines.length; at += size) yield lines.slice(at, at + size);
  }

  test('gives the same, block by block', async () => {
    await fc.assert(
      fc.asyncProperty(lists, fc.integer({ min: 1, max: 4 }), async (times, size) => {
        const merged: LogLine[] = [];
        for await (const block of mergeStreams(named(times).map((list) => inBlocks(list, size)))) merged.push(...block);
        const byTime = (all: readonly LogLine[]) => all.map(({ time }) => time);
        assert.deepEqual(byTime(merged), byTime(mergeLines(named(times))));
        for (const list of named(times))
          assert.deepEqual(
            merged.filter(({ text }) => list.some((line) => line.text === text)),
            list,
          );
      }),
    );
  });
});
