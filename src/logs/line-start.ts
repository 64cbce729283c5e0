import { readSync } from 'node:fs';

const NEWLINE = 10;
/** A line that is longer is taken for one that has ended. */
const LOOKED_AT_BYTES = 256 * 1024;

/** Where the last line of a file of this size begins; the size when it has ended. */
export function lineStartOf(fd: number, size: number): number {
  const last = Buffer.alloc(1);
  if (size === 0 || readSync(fd, last, 0, 1, size - 1) < 1 || last[0] === NEWLINE) return size;
  const tail = Buffer.alloc(Math.min(size, LOOKED_AT_BYTES));
  readSync(fd, tail, 0, tail.length, size - tail.length);
  const newline = tail.lastIndexOf(NEWLINE);
  return newline >= 0 || tail.length === size ? size - tail.length + newline + 1 : size;
}
