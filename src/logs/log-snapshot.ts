import { closeSync, fstatSync } from 'node:fs';
import type { Position } from './follow.ts';
import { lineStartOf } from './line-start.ts';
import { openOwn } from './own-files.ts';
import {
  fileChunks,
  gunzipped,
  LineClock,
  type LineEncoding,
  LineReader,
  type LogLine,
  linesBackwards,
} from './read-lines.ts';
import { rotatedOf, type Segment } from './segments.ts';
import { TimesReader } from './times.ts';

/** A log that is set aside all the time is taken as it is after so many looks. */
const MOST_TRIES = 10;

/** Which lines of a log are wanted. Times are in milliseconds since the epoch. */
export interface Wanted {
  readonly since: number | null;
  readonly until: number | null;
  readonly encoding: LineEncoding;
  readonly matches: (text: string) => boolean;
}

type OnUnreadable = (path: string, error: unknown) => void;

function fail(_path: string, error: unknown): never {
  throw error;
}

interface Opened {
  readonly segment: Segment;
  /** null for a compressed one, which is opened when it is read. */
  readonly fd: number | null;
  readonly size: number;
  readonly times: TimesReader;
  /** When lines were written of which nothing else is known. */
  readonly earliest: number;
}

/** A log at one moment: what is written or set aside later is not in it. */
export class LogSnapshot {
  readonly takenAt: number = Date.now();
  /** The file that is written to; null where there is none. */
  readonly #current: Opened | null;
  /** The oldest first. */
  readonly #rotated: readonly Segment[];

  readonly #onUnreadable: OnUnreadable;

  /**
   * @param wholeLines a line that has not ended does not count yet.
   * @param onUnreadable gets the files that are left out, more than once it may be; without it, they throw.
   */
  constructor(log: string, wholeLines: boolean, onUnreadable: OnUnreadable = fail) {
    this.#onUnreadable = onUnreadable;
    for (let tries = 0; ; tries++) {
      const before = rotatedOf(log).at(-1)?.path;
      const current = open({ path: log, log, rotatedAt: null, gz: false }, wholeLines, onUnreadable);
      const rotated = rotatedOf(log);
      if (before === rotated.at(-1)?.path || tries === MOST_TRIES) {
        this.#current = current;
        this.#rotated = rotated;
        return;
      }
      // It was set aside just then.
      if (current) close(current);
    }
  }

  /** Where what comes later begins; null where there is no file that is written to. */
  get end(): Position | null {
    if (this.#current === null || this.#current.fd === null) return null;
    const { ino: inode } = fstatSync(this.#current.fd);
    return { inode, offset: this.#current.size, lastRotation: this.#rotated.at(-1)?.rotatedAt ?? 0 };
  }

  /** The last lines that are wanted, read from the end so that the size of the log does not matter. */
  async tail(count: number, wanted: Wanted): Promise<readonly LogLine[]> {
    const blocks: (readonly LogLine[])[] = [];
    let missing = count;
    if (count === 0) return [];
    for (const file of this.#files(wanted, 'newest first')) {
      for await (const block of this.#readable(file, backwards(file, missing, wanted))) {
        const lines = block.filter((line) => isWanted(line, wanted)).slice(-missing);
        blocks.unshift(lines);
        missing -= lines.length;
        if (missing === 0) return blocks.flat();
        if (wanted.since !== null && (block[0]?.time ?? 0) < wanted.since) return blocks.flat();
      }
    }
    return blocks.flat();
  }

  /** All lines that are wanted, from the oldest on. */
  async *lines(wanted: Wanted): AsyncGenerator<readonly LogLine[]> {
    for (const file of this.#files(wanted, 'oldest first')) yield* this.#readable(file, forwards(file, wanted));
  }

  close(): void {
    if (this.#current) close(this.#current);
  }

  /** As far as the disk gives it. */
  async *#readable({ segment }: Opened, blocks: AsyncGenerator<readonly LogLine[]>): typeof blocks {
    try {
      yield* blocks;
    } catch (error) {
      // It was removed meanwhile.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') this.#onUnreadable(segment.path, error);
    }
  }

  /** Each is open only until the next is asked for. */
  *#files({ since }: Wanted, order: 'oldest first' | 'newest first'): Generator<Opened> {
    const rotated = this.#rotated.filter(({ rotatedAt }) => since === null || (rotatedAt ?? 0) >= since);
    if (order === 'newest first' && this.#current) yield this.#current;
    for (const segment of order === 'oldest first' ? rotated : rotated.toReversed()) {
      const file = open(segment, false, this.#onUnreadable);
      if (!file) continue;
      try {
        yield file;
      } finally {
        close(file);
      }
    }
    if (order === 'oldest first' && this.#current) yield this.#current;
  }
}

async function* forwards(
  { segment, fd, size, times, earliest }: Opened,
  wanted: Wanted,
): AsyncGenerator<readonly LogLine[]> {
  const from = wanted.since === null ? 0 : times.offsetOf(wanted.since);
  const reader = new LineReader(new LineClock(times, () => earliest), from, wanted.encoding);
  for await (const chunk of fd === null ? gunzipped(segment, from) : fileChunks(fd, from, size)) {
    const lines = reader.push(chunk).filter((line) => isWanted(line, wanted));
    if (lines.length > 0) yield lines;
  }
  const last = reader.flush().filter((line) => isWanted(line, wanted));
  if (last.length > 0) yield last;
}

/** Blocks of lines, the last one first; of what is compressed, so many of the wanted ones in one block. */
async function* backwards(file: Opened, count: number, wanted: Wanted): AsyncGenerator<readonly LogLine[]> {
  if (file.fd === null) yield await lastOf(forwards(file, wanted), count);
  else yield* linesBackwards(file.fd, file.size, new LineClock(file.times, () => file.earliest), wanted.encoding);
}

/** @returns null for what is gone, or may not be read. */
function open(segment: Segment, wholeLines: boolean, onUnreadable: OnUnreadable): Opened | null {
  try {
    const { fd, stat } = openOwn(segment.path, segment.log);
    const { size, ino, birthtimeMs, mtimeMs } = stat;
    if (!segment.gz) {
      const earliest = Math.min(birthtimeMs || mtimeMs, segment.rotatedAt ?? Infinity);
      const end = wholeLines ? lineStartOf(fd, size) : size;
      return { segment, fd, size: end, times: new TimesReader(segment.path, ino), earliest };
    }
    closeSync(fd);
    return { segment, fd: null, size, times: new TimesReader(segment.path, null), earliest: segment.rotatedAt ?? 0 };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
      onUnreadable(segment.path, error);
      return null;
    }
    // Compressed since it was looked for.
    if (segment.gz || segment.rotatedAt === null) return null;
    return open({ ...segment, path: `${segment.path}.gz`, gz: true }, wholeLines, onUnreadable);
  }
}

function close({ fd, times }: Opened): void {
  if (fd !== null) closeSync(fd);
  times.close();
}

function isWanted({ time, text }: LogLine, { since, until, matches }: Wanted): boolean {
  return (since === null || time >= since) && (until === null || time <= until) && matches(text);
}

async function lastOf(blocks: AsyncGenerator<readonly LogLine[]>, count: number): Promise<readonly LogLine[]> {
  let lines: LogLine[] = [];
  for await (const block of blocks) {
    lines.push(...block);
    if (lines.length > 2 * count + 10_000) lines = lines.slice(-count);
  }
  return lines.slice(-count);
}
