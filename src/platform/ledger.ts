import { createHash } from 'node:crypto';
import { closeSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import type { Ledger } from '../supervisor/ports.ts';
import { bootId } from './boot-id.ts';

/** It is rewritten when it has grown by this much, and to several times what it holds. */
const SPARE_BYTES = 1024 * 1024;
const SPARE_FACTOR = 4;
/** Zeros stand beyond the last line, so that what comes next finds its place on a disk that is full by then. */
const ROOM = Buffer.alloc(256 * 1024);

/**
 * A file of lines, each with a key and the newest entry under it: added at every change, as it must be on record
 * before anything else happens, and rewritten when most of it is old. Losing power loses it, and all that it tells of.
 */
export function fileLedger(path: string): Ledger {
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
    const text = Buffer.from(header + [...entries.values()].join(''));
    const next = `${path}.tmp`;
    const nextFd = openSync(next, 'w', 0o600);
    try {
      writeAll(nextFd, text, 0);
      makeRoom(nextFd, text.length);
      renameSync(next, path);
    } catch (error) {
      closeSync(nextFd);
      // On a full disk, half a file is in the way of everything else.
      rmSync(next, { force: true });
      throw error;
    }
    if (fd !== null) closeSync(fd);
    fd = nextFd;
    bytes = text.length;
    rewriteAt = bytes * SPARE_FACTOR + SPARE_BYTES;
  };

  return {
    read: () => {
      for (const [key, line] of readLines(path, header)) entries.set(key, line);
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
    remove: () => {
      if (fd !== null) closeSync(fd);
      fd = null;
      entries.clear();
      rmSync(path, { recursive: true, force: true });
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
function readLines(path: string, header: string): Map<string, string> {
  const found = new Map<string, string>();
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return found;
  }
  if (!text.startsWith(header)) return found;
  for (const line of text.slice(header.length, text.lastIndexOf('\n') + 1).split('\n')) {
    try {
      const [key, entry] = parseLine(line);
      if (entry === null) found.delete(key);
      else found.set(key, `${line}\n`);
    } catch {
      // See above; and a line that was torn by a full disk, or damaged, stands alone.
    }
  }
  return found;
}
