import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { rotatedOf } from '../../src/logs/segments.ts';

/** What was set aside first. */
function filesOf(log: string): readonly { readonly path: string; readonly gz: boolean }[] {
  return [...rotatedOf(log), { path: log, gz: false }];
}

/** All that a log holds, what was set aside of it first. */
export function wholeLog(path: string): string {
  const parts = filesOf(path).map((segment) => {
    try {
      const bytes = readFileSync(segment.path);
      return segment.gz ? gunzipSync(bytes) : bytes;
    } catch (error) {
      // Compressed, or not made yet.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      return Buffer.alloc(0);
    }
  });
  return Buffer.concat(parts).toString('utf8');
}

/** How much the files of a log take. */
export function logBytes(path: string): number {
  const sizes = filesOf(path).map((segment) => statSync(segment.path, { throwIfNoEntry: false })?.size ?? 0);
  return sizes.reduce((sum, size) => sum + size, 0);
}

const LINE = /^(\d+) (\d+) the quick brown fox jumps over the lazy dog and runs, and 世界 is watching it$/;

/**
 * Checks lines of the fixture writes-lines.js: none is torn, doubled or out of order.
 * @returns the numbers by instance, and the lines of upkeep's own.
 */
export function checkLines(text: string): { numbers: Map<string, number[]>; notes: string[] } {
  const numbers = new Map<string, number[]>();
  const notes: string[] = [];
  for (const line of text.split('\n').slice(0, -1)) {
    if (line.startsWith('upkeep: ')) {
      notes.push(line);
      continue;
    }
    const [, instance = '', number] = LINE.exec(line) ?? [];
    assert.ok(number !== undefined, `a torn line: ${JSON.stringify(line.slice(0, 200))}`);
    const list = numbers.get(instance) ?? [];
    assert.ok(Number(number) > (list.at(-1) ?? 0), `${number} after ${list.at(-1)}`);
    list.push(Number(number));
    numbers.set(instance, list);
  }
  return { numbers, notes };
}

/** The numbers from 1 to this one: nothing is missing. */
export function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index + 1);
}
