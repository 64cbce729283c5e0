import { closeSync, fstatSync, openSync, statSync } from 'node:fs';
import type { Position } from './follow.ts';
import { lineStartOf } from './line-start.ts';
import { fileChunks, gunzipped, LineClock, LineReader, type LogLine, linesBackwards } from './read-lines.ts';
import { type Segment, segmentsOf } from './segments.ts';
import { TimesReader } from './times.ts';

/** Which lines of a log are wanted. Times are in milliseconds since the epoch. */
export interface Wanted {
  readonly since: number | null;
  readonly until: number | null;
  readonly matches: (text: string) => boolean;
}

interface Opened {
  readonly segment: Segment;
  /** null for a compressed one, which is opened when it is read. */
  readonly fd: number | null;
  readonly size: number;
  readonly times: TimesReader;
  readonly earliest: number;
}

/** All files of a log at one moment: what is set aside, compressed or removed later changes nothing of it. */
export class LogSnapshot {
  readonly takenAt: number = Date.now();
  readonly #files: readonly Opened[];
  readonly #lastRotation: number;

  /** @param wholeLines a line that has not ended does not count yet. */
  constructor(log: string, wholeLines: boolean) {
    const segments = settledSegments(log);
    this.#files = segments.flatMap((segment) => open(segment, wholeLines) ?? []);
    this.#lastRotation = segments.at(-2)?.rotatedAt ?? 0;
  }

  /** Where what comes later begins; null where there is no file that is written to. */
  get end(): Position | null {
    const last = this.#files.at(-1);
    if (!last || last.segment.rotatedAt !== null || last.fd === null) return null;
    return { inode: fstatSync(last.fd).ino, offset: last.size, lastRotation: this.#lastRotation };
  }

  /** The last lines that are wanted, read from the end so that the size of the log does not matter. */
  async tail(count: number, wanted: Wanted): Promise<readonly LogLine[]> {
    const blocks: (readonly LogLine[])[] = [];
    let missing = count;
    for (const file of this.#files.toReversed()) {
      if (missing === 0 || !mayHold(file, wanted)) break;
      if (file.fd === null) {
        const lines = await lastOf(this.#forwards(file, wanted), missing);
        blocks.unshift(lines);
        missing -= lines.length;
        continue;
      }
      for (const block of linesBackwards(file.fd, file.size, new LineClock(file.times, () => file.earliest))) {
        const lines = block.filter((line) => isWanted(line, wanted)).slice(-missing);
        blocks.unshift(lines);
        missing -= lines.length;
        if (missing === 0) break;
        if (wanted.since !== null && (block[0]?.time ?? 0) < wanted.since) return blocks.flat();
      }
    }
    return blocks.flat();
  }

  /** All lines that are wanted, from the oldest on. */
  async *lines(wanted: Wanted): AsyncGenerator<readonly LogLine[]> {
    for (const file of this.#files) if (mayHold(file, wanted)) yield* this.#forwards(file, wanted);
  }

  close(): void {
    for (const { fd, times } of this.#files) {
      if (fd !== null) closeSync(fd);
      times.close();
    }
  }

  async *#forwards({ segment, fd, size, times, earliest }: Opened, wanted: Wanted): AsyncGenerator<LogLine[]> {
    const from = wanted.since === null ? 0 : times.offsetOf(wanted.since);
    const reader = new LineReader(new LineClock(times, () => earliest), from);
    for await (const chunk of fd === null ? gunzipped(segment.path, from) : fileChunks(fd, from, size)) {
      const lines = reader.push(chunk).filter((line) => isWanted(line, wanted));
      if (lines.length > 0) yield lines;
    }
    const last = reader.flush().filter((line) => isWanted(line, wanted));
    if (last.length > 0) yield last;
  }
}

/** Of a log that is being set aside just now, it is looked twice. */
function settledSegments(log: string): readonly Segment[] {
  for (let tries = 0; ; tries++) {
    const segments = segmentsOf(log);
    const inode = statSync(log, { throwIfNoEntry: false })?.ino;
    const again = segmentsOf(log);
    if (tries === 10 || (segments.at(-2)?.path === again.at(-2)?.path && inode === inodeOf(log))) return again;
  }
}

function inodeOf(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.ino;
}

/** @returns null for what is gone. */
function open(segment: Segment, wholeLines: boolean): Opened | null {
  try {
    const fd = openSync(segment.path, 'r');
    const { size, ino, birthtimeMs, mtimeMs } = fstatSync(fd);
    if (!segment.gz) {
      const earliest = Math.min(birthtimeMs || mtimeMs, segment.rotatedAt ?? Infinity);
      const end = wholeLines && segment.rotatedAt === null ? lineStartOf(fd, size) : size;
      return { segment, fd, size: end, times: new TimesReader(segment.path, ino), earliest };
    }
    closeSync(fd);
    return { segment, fd: null, size, times: new TimesReader(segment.path, null), earliest: segment.rotatedAt ?? 0 };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT') throw error;
    // Compressed since it was looked for.
    if (segment.gz || segment.rotatedAt === null) return null;
    return open({ ...segment, path: `${segment.path}.gz`, gz: true }, wholeLines);
  }
}

function mayHold({ segment }: Opened, { since }: Wanted): boolean {
  return since === null || segment.rotatedAt === null || segment.rotatedAt >= since;
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
