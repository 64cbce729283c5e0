import { createHash } from 'node:crypto';
import { closeSync, fstatSync, openSync, readSync, renameSync, writeSync } from 'node:fs';
import { pieces } from '../protocol/pieces.ts';
import { removeQuietly } from '../protocol/remove-quietly.ts';
import type { Ledger } from '../supervisor/ports.ts';
import { bootId } from './boot-id.ts';

/** It is rewritten when it has grown by this much, and to several times what it holds. */
const SPARE_BYTES = 1024 * 1024;
const SPARE_FACTOR = 4;
/** Zeros stand beyond the last line, so that what comes next finds its place on a disk that is full by then. */
const ROOM = Buffer.alloc(256 * 1024);
const BLOCK_BYTES = 64 * 1024;
const NEWLINE = 10;

export interface FileLedger extends Ledger {
  /** The file was taken away by somebody else. */
  readonly isGone: boolean;
  /** Writes all of it into a new file, where it was written. */
  readonly renew: () => void;
}

/**
 * A file of lines, each with a key and the newest entry under it: added at every change, as it must be on record
 * before anything else happens, and rewritten when most of it is old. Losing power loses it, and all that it tells of.
 */
export function fileLedger(path: string): FileLedger {
  const header = `${JSON.stringify({ format: 2, boot: bootId() })}\n`;
  const entries = new Map<string, string>();
  let fd: number | null = null;
  let bytes = 0;
  let roomUntil = 0;
  let rewriteAt = 0;

  const makeRoom = (file: number, at: number): void => {
    roomUntil = at;
    try {
      roomUntil += writeSync(file, ROOM, 0, ROOM.length, at);
    } catch {
      // What comes next tells.
    }
  };

  const rewrite = (): void => {
    const next = `${path}.tmp`;
    const nextFd = openSync(next, 'w', 0o600);
    let written = 0;
    try {
      for (const texts of pieces([header, ...entries.values()], (line) => line.length)) {
        const buffer = Buffer.from(texts.join(''));
        writeAll(nextFd, buffer, written);
        written += buffer.length;
      }
      makeRoom(nextFd, written);
      renameSync(next, path);
    } catch (error) {
      closeSync(nextFd);
      // On a full disk, half a file is in the way of everything else.
      removeQuietly(next);
      throw error;
    }
    if (fd !== null) closeSync(fd);
    fd = nextFd;
    bytes = written;
    rewriteAt = bytes * SPARE_FACTOR + SPARE_BYTES;
  };

  return {
    read: () => {
      for (const [key, line] of readEntries(path, header)) entries.set(key, line);
      return new Map([...entries].map(([key, line]) => [key, parseLine(line)[1]]));
    },
    write: (key, entry) => {
      const text = JSON.stringify([key, entry]);
      const line = `${checksum(text)} ${text}\n`;
      // An app may say the same again and again.
      if (fd !== null && entries.get(key) === line) return;
      if (entry === null) entries.delete(key);
      else entries.set(key, line);
      const buffer = Buffer.from(line);
      const end = bytes + buffer.length;
      if (fd === null || end > rewriteAt) return rewrite();
      try {
        if (end > roomUntil) makeRoom(fd, bytes);
        writeAll(fd, buffer, bytes);
        bytes = end;
      } catch (error) {
        // A full disk, say, may have taken a part of the line: the next one begins a whole file.
        closeSync(fd);
        fd = null;
        throw error;
      }
    },
    get isGone() {
      return fd !== null && fstatSync(fd).nlink === 0;
    },
    renew: () => {
      if (fd !== null || entries.size > 0) rewrite();
    },
    remove: () => {
      if (fd !== null) closeSync(fd);
      fd = null;
      entries.clear();
      removeQuietly(path);
    },
  };
}

const SUM_CHARACTERS = 16;

/** Enough to tell damage. */
function checksum(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, SUM_CHARACTERS);
}

/** @throws Error for a line that is not as it was written. */
function parseLine(line: string): [key: string, entry: unknown] {
  const text = line.slice(SUM_CHARACTERS + 1).trimEnd();
  if (!line.startsWith(`${checksum(text)} `)) throw new Error('damaged');
  return JSON.parse(text) as [string, unknown];
}

function writeAll(fd: number, buffer: Buffer, position: number): void {
  for (let at = 0; at < buffer.length; ) at += writeSync(fd, buffer, at, buffer.length - at, position + at);
}

/** Of another boot nothing is left to know. A last line that is torn was never on record. */
function readEntries(path: string, header: string): Map<string, string> {
  const found = new Map<string, string>();
  let isFirst = true;
  try {
    for (const line of readLines(path)) {
      if (isFirst && line !== header) return found;
      if (!isFirst) takeLine(line, found);
      isFirst = false;
    }
  } catch {
    // There is none; or the disk gives no more of it.
  }
  return found;
}

function takeLine(line: string, found: Map<string, string>): void {
  try {
    const [key, entry] = parseLine(line);
    if (entry === null) found.delete(key);
    else found.set(key, line);
  } catch {
    // Torn by a full disk, or damaged: it stands alone.
  }
}

/** Whole lines, with their ends: together they may be more than a text can hold. */
function* readLines(path: string): Generator<string> {
  const fd = openSync(path, 'r');
  try {
    let parts: Buffer[] = [];
    for (;;) {
      const block = Buffer.allocUnsafe(BLOCK_BYTES);
      const read = block.subarray(0, readSync(fd, block, 0, BLOCK_BYTES, null));
      if (read.length === 0) return;
      let from = 0;
      for (let end = read.indexOf(NEWLINE); end !== -1; end = read.indexOf(NEWLINE, from)) {
        yield Buffer.concat([...parts, read.subarray(from, end + 1)]).toString('utf8');
        parts = [];
        from = end + 1;
      }
      parts.push(read.subarray(from));
    }
  } finally {
    closeSync(fd);
  }
}
