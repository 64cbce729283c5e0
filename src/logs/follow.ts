import { closeSync, readFileSync, readSync, type Stats, statSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { openOwn } from './own-files.ts';
import { LineClock, type LineEncoding, LineReader, type LogLine } from './read-lines.ts';
import { rotatedOf, type Segment } from './segments.ts';
import { TimesReader, wasLog } from './times.ts';

const CHUNK_BYTES = 256 * 1024;
/** So much is read at a time, so that it is shown before more is read. */
const MOST_BYTES = 4 * CHUNK_BYTES;
/** A compressed file that holds more is passed over. */
const MOST_GUNZIPPED = 256 * 1024 * 1024;
const chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES);

/** Where a follower begins: at a place in a log, or with all that was written since a time. */
export type Beginning = Position | { readonly since: number };

export interface Position {
  readonly inode: number;
  readonly offset: number;
  /** When the log was last set aside before that. */
  readonly lastRotation: number;
}

interface Open {
  readonly fd: number;
  readonly inode: number;
  /** It was set aside: nothing is added to it. */
  readonly isBehind: boolean;
  readonly times: TimesReader;
  reader: LineReader;
  /** Up to where it was read. */
  offset: number;
}

/** Reads what is appended to a log, across all that is set aside, and when it is emptied or replaced. */
export class LogFollower {
  readonly #path: string;
  readonly #onMissed: () => void;
  readonly #encoding: LineEncoding;
  #open: Open | null = null;
  #lastRotation: number;
  #since = 0;
  /** What was set aside and is still to be read, the oldest first; the first one from an offset on. */
  #behind: Segment[] = [];
  #behindFrom = 0;

  /** @param onMissed called when a file was removed before it was read. */
  constructor(path: string, beginning: Beginning, onMissed: () => void = () => {}, encoding: LineEncoding = 'utf8') {
    this.#path = path;
    this.#encoding = encoding;
    this.#onMissed = onMissed;
    if ('since' in beginning) {
      this.#since = beginning.since;
      this.#lastRotation = beginning.since;
      return;
    }
    const position = beginning;
    this.#lastRotation = position.lastRotation;
    const open = openFile(path, path, position.offset, encoding);
    if (open?.inode === position.inode) {
      this.#open = open;
      return;
    }
    if (open) closeFile(open);
    this.#findBehind(position.inode, position.offset);
  }

  /** @returns lines that are new and have ended; when there are none, there is nothing more for now. */
  read(): readonly LogLine[] {
    for (;;) {
      const lines = this.#read();
      const newer = lines.filter(({ time }) => time >= this.#since);
      if (newer.length > 0 || lines.length === 0) return newer;
    }
  }

  #read(): LogLine[] {
    const lines: LogLine[] = [];
    for (;;) {
      this.#open ??= this.#openNext(lines);
      const open = this.#open;
      if (!open) return lines;
      open.times.refresh();
      if (!readOn(open, lines)) {
        if (lines.length > 0) return lines;
        continue;
      }
      if (open.isBehind) {
        lines.push(...open.reader.flush());
        this.close();
        continue;
      }
      const stat = look(this.#path);
      // What is in the open file is all there is to know.
      if (stat === undefined) return lines;
      if (stat?.ino === open.inode) {
        if (stat.size < open.offset) restart(open, this.#encoding);
        else return lines;
        continue;
      }
      // What was written between the last read and the renaming.
      if (!readOn(open, lines)) continue;
      lines.push(...open.reader.flush());
      this.close();
      this.#findBehind(open.inode, null);
      if (!stat && this.#behind.length === 0) return lines;
    }
  }

  close(): void {
    if (this.#open) closeFile(this.#open);
    this.#open = null;
  }

  #openNext(lines: LogLine[]): Open | null {
    for (;;) {
      for (let next = this.#behind.shift(); next; next = this.#behind.shift()) {
        const from = this.#behindFrom;
        this.#behindFrom = 0;
        const open = next.gz ? null : openFile(next.path, this.#path, from, this.#encoding);
        if (open) return open;
        const gunzipped = gunzippedLines(next, from, this.#encoding);
        if (gunzipped) lines.push(...gunzipped);
        else this.#onMissed();
      }
      const open = openFile(this.#path, this.#path, 0, this.#encoding);
      // What was set aside before it was opened, and never read.
      this.#behind = this.#takeNewer();
      if (this.#behind.length === 0) return open;
      if (open) closeFile(open);
    }
  }

  /** What was set aside since the last look. */
  #takeNewer(): Segment[] {
    const newer = rotatedOf(this.#path).filter(({ rotatedAt }) => (rotatedAt ?? 0) > this.#lastRotation);
    this.#lastRotation = newer.at(-1)?.rotatedAt ?? this.#lastRotation;
    return newer;
  }

  /**
   * Finds what was set aside since the last look.
   * @param inode of the file that was read, which is the first of them.
   * @param offset up to where that was read; null for its end.
   */
  #findBehind(inode: number, offset: number | null): void {
    const newer = this.#takeNewer();
    const [first] = newer;
    if (!first) return;
    const isFirst = first.gz ? wasLog(first.path, inode) !== false : inodeOf(first.path) === inode;
    if (!isFirst) this.#onMissed();
    this.#behind = isFirst && offset === null ? newer.slice(1) : newer;
    this.#behindFrom = isFirst ? (offset ?? 0) : 0;
  }
}

/** @returns whether its end was reached. */
function readOn(open: Open, lines: LogLine[]): boolean {
  for (let total = 0; total < MOST_BYTES; ) {
    const bytes = readSync(open.fd, chunk, 0, CHUNK_BYTES, open.offset);
    if (bytes === 0) return true;
    lines.push(...open.reader.push(chunk.subarray(0, bytes)));
    open.offset += bytes;
    total += bytes;
  }
  return false;
}

/** @param log that it is, or was before it was set aside. */
function openFile(path: string, log: string, offset: number, encoding: LineEncoding): Open | null {
  try {
    const { fd, stat } = openOwn(path, log);
    const times = new TimesReader(path, stat.ino);
    return { fd, inode: stat.ino, isBehind: path !== log, times, reader: readerOf(times, offset, encoding), offset };
  } catch {
    // Nothing was written yet, or it is gone.
    return null;
  }
}

/** It was emptied. */
function restart(open: Open, encoding: LineEncoding): void {
  open.offset = 0;
  open.reader = readerOf(open.times, 0, encoding);
}

function readerOf(times: TimesReader, offset: number, encoding: LineEncoding): LineReader {
  return new LineReader(new LineClock(times, Date.now), offset, encoding);
}

function closeFile({ fd, times }: Open): void {
  closeSync(fd);
  times.close();
}

function gunzippedLines({ path, log, gz }: Segment, from: number, encoding: LineEncoding): LogLine[] | null {
  // It may have been compressed since it was looked for.
  const file = gz ? path : `${path}.gz`;
  const times = new TimesReader(file, null);
  let fd: number | null = null;
  try {
    fd = openOwn(file, log).fd;
    const bytes = gunzipSync(readFileSync(fd), { maxOutputLength: MOST_GUNZIPPED });
    const reader = readerOf(times, from, encoding);
    return [...reader.push(bytes.subarray(from)), ...reader.flush()];
  } catch {
    return null;
  } finally {
    times.close();
    if (fd !== null) closeSync(fd);
  }
}

function inodeOf(path: string): number | undefined {
  return look(path)?.ino;
}

/** @returns null for what is not there; undefined where that cannot be told, as its folder is closed. */
function look(path: string): Stats | null | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false }) ?? null;
  } catch {
    return undefined;
  }
}
