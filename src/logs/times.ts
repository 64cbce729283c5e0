import { closeSync, constants, fstatSync, ftruncateSync, readSync, writeSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { openTrusted } from '../protocol/trusted-path.ts';
import { openOwn } from './own-files.ts';

const { O_APPEND, O_CREAT, O_RDWR } = constants;

/**
 * When the bytes of a log were written, beside it in a small file: that is what merges the logs of several instances and
 * finds `--since` in logs of any format. It is made of records `[time, offset]`: what follows `offset` was written at
 * `time`. It may be missing or short: then the log's own times, or its age, must do.
 */
const HEADER_BYTES = 16;
const RECORD_BYTES = 12;
const MAGIC = 'uptimes1';

/** So much of the log may pass without a record, or so much time, once there are many of them. */
const SPARSE_BYTES = 1024;
const SPARSE_MS = 100;
const DENSE_RECORDS = 5000;
/** Records wait in memory for so long at most, or so many of them. */
const FLUSH_MS = 20;
const BUFFERED = 128;

/** @param path of a log, set aside or not. */
export function timesPath(path: string): string {
  return join(dirname(path), `.${basename(path).replace(/\.gz$/, '')}.times`);
}

export class TimesWriter {
  #fd: number | null = null;
  readonly #buffer = Buffer.alloc(BUFFERED * RECORD_BYTES);
  #buffered = 0;
  #records = 0;
  #lastTime = 0;
  #lastOffset = -1;
  #flushedAt = 0;

  /** @param inode tells whether records that are there are those of this log. */
  constructor(path: string, inode: number, size: number, appUid: number | null) {
    try {
      this.#fd = openTrusted(timesPath(path), O_RDWR | O_APPEND | O_CREAT, appUid);
      if (!fstatSync(this.#fd).isFile()) throw new Error('others have put something there');
      const last = size > 0 ? lastRecord(this.#fd, inode) : null;
      if (last && last.offset < size) {
        this.#records = last.count;
        this.#lastTime = last.time;
        this.#lastOffset = last.offset;
      } else {
        const header = Buffer.alloc(HEADER_BYTES);
        header.write(MAGIC, 'latin1');
        header.writeDoubleLE(inode, MAGIC.length);
        ftruncateSync(this.#fd, 0);
        writeSync(this.#fd, header);
      }
    } catch {
      // It is only more to know.
      this.close();
    }
  }

  /** Bytes were written at this time, from this offset on. @returns whether records wait to be flushed. */
  note(time: number, offset: number): boolean {
    const known = time <= this.#lastTime || offset <= this.#lastOffset;
    const dense = this.#records < DENSE_RECORDS || offset - this.#lastOffset >= SPARSE_BYTES;
    if (known || !(dense || time - this.#lastTime >= SPARSE_MS)) return this.#buffered > 0;
    const at = this.#buffered * RECORD_BYTES;
    this.#buffer.writeUIntLE(time, at, 6);
    this.#buffer.writeUIntLE(offset, at + 6, 6);
    this.#buffered++;
    this.#records++;
    this.#lastTime = time;
    this.#lastOffset = offset;
    if (time - this.#flushedAt >= FLUSH_MS || this.#buffered === BUFFERED) this.flush(time);
    return this.#buffered > 0;
  }

  flush(time: number): void {
    this.#flushedAt = time;
    const bytes = this.#buffered * RECORD_BYTES;
    this.#buffered = 0;
    if (this.#fd === null || bytes === 0) return;
    try {
      if (writeSync(this.#fd, this.#buffer, 0, bytes) < bytes) this.close();
    } catch {
      // As on a full disk.
    }
  }

  close(): void {
    if (this.#fd === null) return;
    this.flush(this.#lastTime);
    if (this.#fd !== null) closeSync(this.#fd);
    this.#fd = null;
  }
}

function lastRecord(fd: number, inode: number): { time: number; offset: number; count: number } | null {
  const header = Buffer.alloc(HEADER_BYTES);
  if (readSync(fd, header, 0, HEADER_BYTES, 0) < HEADER_BYTES || !isHeader(header, inode)) return null;
  const count = Math.floor((fstatSync(fd).size - HEADER_BYTES) / RECORD_BYTES);
  if (count === 0) return null;
  const record = Buffer.alloc(RECORD_BYTES);
  readSync(fd, record, 0, RECORD_BYTES, HEADER_BYTES + (count - 1) * RECORD_BYTES);
  return { time: record.readUIntLE(0, 6), offset: record.readUIntLE(6, 6), count };
}

/** @param inode null for that of any log. */
function isHeader(header: Buffer, inode: number | null): boolean {
  if (header.toString('latin1', 0, MAGIC.length) !== MAGIC) return false;
  return inode === null || header.readDoubleLE(MAGIC.length) === inode;
}

function countRecords(fd: number): number {
  return Math.max(0, Math.floor((fstatSync(fd).size - HEADER_BYTES) / RECORD_BYTES));
}

/** @returns null where there are none of this log. */
function openTimes(path: string, inode: number | null): number | null {
  let fd: number;
  try {
    fd = openOwn(timesPath(path), path).fd;
  } catch {
    return null;
  }
  const header = Buffer.alloc(HEADER_BYTES);
  if (readSync(fd, header, 0, HEADER_BYTES, 0) === HEADER_BYTES && isHeader(header, inode)) return fd;
  closeSync(fd);
  return null;
}

/** Whether this file was that log, also when it was compressed since; null where that is not known. */
export function wasLog(path: string, inode: number): boolean | null {
  const any = openTimes(path, null);
  if (any === null) return null;
  closeSync(any);
  const own = openTimes(path, inode);
  if (own !== null) closeSync(own);
  return own !== null;
}

const BLOCK_RECORDS = 341;

/** Looks times up, without reading more than it must. */
export class TimesReader {
  readonly #fd: number | null;
  #count: number;
  readonly #block = Buffer.alloc(BLOCK_RECORDS * RECORD_BYTES);
  #blockAt = -1;
  /** The last answer: between `from` and `to` all was written at `time`. */
  #from = 0;
  #to = 0;
  #time: number | null = null;

  /** @param inode of the log; null for a log that was compressed, which has another one since. */
  constructor(path: string, inode: number | null) {
    this.#fd = openTimes(path, inode);
    this.#count = this.#fd === null ? 0 : countRecords(this.#fd);
  }

  /** When the byte at this offset was written; null where that is not known. */
  at(offset: number): number | null {
    if (offset >= this.#from && offset < this.#to) return this.#time;
    const next = this.#firstAfter((index) => this.#offset(index) > offset);
    this.#from = next === 0 ? 0 : this.#offset(next - 1);
    this.#to = next === this.#count ? Number.POSITIVE_INFINITY : this.#offset(next);
    this.#time = next === 0 ? null : this.#timeOf(next - 1);
    return this.#time;
  }

  /** Looks for records that were added. */
  refresh(): void {
    if (this.#fd === null) return;
    this.#count = countRecords(this.#fd);
    this.#blockAt = -1;
    this.#to = 0;
  }

  /** An offset before which all was written earlier than this; 0 where that is not known. */
  offsetOf(time: number): number {
    const first = this.#firstAfter((index) => this.#timeOf(index) >= time);
    if (first === this.#count) return first === 0 ? 0 : this.#offset(first - 1);
    return first === 0 ? 0 : this.#offset(first);
  }

  close(): void {
    if (this.#fd !== null) closeSync(this.#fd);
  }

  /** The first record for which `after` holds, as it does for all that follow. */
  #firstAfter(after: (index: number) => boolean): number {
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (after(middle)) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  #timeOf(index: number): number {
    return this.#record(index).readUIntLE((index - this.#blockAt) * RECORD_BYTES, 6);
  }

  #offset(index: number): number {
    return this.#record(index).readUIntLE((index - this.#blockAt) * RECORD_BYTES + 6, 6);
  }

  #record(index: number): Buffer {
    const at = index - (index % BLOCK_RECORDS);
    if (at !== this.#blockAt && this.#fd !== null) {
      readSync(this.#fd, this.#block, 0, this.#block.length, HEADER_BYTES + at * RECORD_BYTES);
      this.#blockAt = at;
    }
    return this.#block;
  }
}
