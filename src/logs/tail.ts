import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

const BLOCK_BYTES = 64 * 1024;
/** However many lines are asked for, no more than this is read. */
const MOST_BYTES = 64 * 1024 * 1024;
const NEWLINE = 10;

export interface Tail {
  readonly lines: readonly string[];
  /** Where the file ended: what is written later starts here. */
  readonly end: number;
}

/** The last lines of a file, read from its end, so that the size of the file does not matter. */
export function readTail(path: string, count: number): Tail {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { lines: [], end: 0 };
    throw error;
  }
  try {
    const end = fstatSync(fd).size;
    const blocks: Buffer[] = [];
    let newlines = 0;
    let start = end;
    // One newline more than lines, as the last line ends with one.
    while (start > 0 && newlines <= count && end - start < MOST_BYTES) {
      const size = Math.min(BLOCK_BYTES, start);
      const block = Buffer.alloc(size);
      readSync(fd, block, 0, size, start - size);
      for (const byte of block) if (byte === NEWLINE) newlines++;
      blocks.unshift(block);
      start -= size;
    }
    const lines = Buffer.concat(blocks).toString('utf8').split('\n');
    if (lines.at(-1) === '') lines.pop();
    return { lines: count === 0 ? [] : lines.slice(-count), end };
  } finally {
    closeSync(fd);
  }
}
