import type { Socket } from 'node:net';
import { on, setImmediate } from './own.ts';

/**
 * What an app writes to stdout and stderr goes into pipes. Node.js writes to a pipe while there is room; what has none
 * waits in the process, each write on its own, and is gone when that exits. Here
 * - a process that exits writes out what waits, as it would to a file;
 * - what has no room is gathered, and tried again at once when that is worthwhile: a loop that writes much keeps the
 *   reader busy, instead of filling the memory until it ends.
 */

/** An exit waits so long for somebody to read, from the last time on that somebody did. */
const PATIENCE_MS = 5000;
const LOOK_MS = 1;
/** What has no room is tried again when there is so much more of it: what a pipe holds. */
const TRY_BYTES = 64 * 1024;
/** More does not wait here: then it is told to whoever heeds what `write` returns. */
const MOST_BYTES = 4 * 1024 * 1024;

type Done = (error?: Error | null) => void;
type Write = (chunk: string | Buffer, encoding: BufferEncoding | 'buffer', done: Done) => void;

interface Chunk {
  readonly chunk: string | Buffer;
  readonly encoding: BufferEncoding | 'buffer';
}

/** What is no part of a socket's public types. */
interface Handle {
  /** Of the write that is under way, what is still to be written. */
  readonly writeQueueSize: number;
  readonly setBlocking: (blocking: boolean) => void;
}

type Output = Omit<Socket, '_write' | '_writev' | '_final'> & {
  readonly _handle?: Handle | null;
  _write: Write;
  _final: (done: Done) => void;
  _writev: (chunks: readonly Chunk[], done: Done) => void;
};

// The app may replace it.
const { writeSync } = require('node:fs') as typeof import('node:fs');
const now = performance.now.bind(performance);

/** What is done when the process exits. */
type AtExit = (crashed: boolean) => void;

/** Before the app looks at `process.stdout` or `process.stderr`: Node makes them when they are looked at first. */
export function keepLastWords(): void {
  const atExit: AtExit[] = [];
  const add = (doThis: AtExit): void => {
    if (atExit.push(doThis) > 1) return;
    let crashed = false;
    on('uncaughtExceptionMonitor', () => {
      crashed = true;
    });
    on('exit', () => {
      for (const each of atExit) each(crashed);
    });
  };
  for (const [name, fd] of [
    ['stdout', 1],
    ['stderr', 2],
  ] as const) {
    const property = Object.getOwnPropertyDescriptor(process, name);
    const make = property?.get as (() => Output) | undefined;
    if (!make) continue;
    let made: Output | null = null;
    const get = (): Output => {
      if (made === null) {
        made = make.call(process);
        if (made._handle?.constructor.name === 'Pipe') takeOver(made, made._handle, fd, add);
      }
      return made;
    };
    Object.defineProperty(process, name, { ...property, get });
  }
}

function takeOver(output: Output, handle: Handle, fd: number, atExit: (doThis: AtExit) => void): void {
  const { _write: write, _final: final } = output;
  const waiting = new Waiting();
  /** What Node writes once there is room. */
  let underWay: Buffer | null = null;
  /** Ends the write that the stream waits for. */
  let finish: Done | null = null;
  let tryAt = 0;
  let isScheduled = false;
  let exiting = false;
  let isRead = true;

  const handOver = (): void => {
    isScheduled = false;
    if (underWay !== null || waiting.bytes === 0 || exiting) return;
    underWay = waiting.take();
    write.call(output, underWay, 'buffer', (error) => {
      if (exiting) return;
      underWay = null;
      settle(error);
      handOver();
    });
  };
  const settle: Done = (error) => {
    const done = finish;
    finish = null;
    done?.(error);
  };
  /** Something waits. */
  const goOn = (done: Done): void => {
    if (exiting) {
      writeOutRest();
      return done();
    }
    if (underWay === null && waiting.bytes >= tryAt) {
      const bytes = waiting.take();
      waiting.add(bytes.subarray(written(fd, bytes)));
      tryAt = waiting.bytes + TRY_BYTES;
    }
    if (underWay === null && waiting.bytes <= MOST_BYTES) {
      if (!isScheduled) setImmediate(handOver);
      isScheduled = true;
      return done();
    }
    finish = done;
    handOver();
  };
  const writeOutRest = (): void => {
    const rest = waiting.take();
    isRead &&= writeOut(fd, rest);
  };

  output._write = (chunk, encoding, done) => {
    if (underWay === null && waiting.bytes === 0 && !exiting) {
      const left = leftOf(fd, chunk, encoding);
      if (left === null) return done();
      waiting.add(left);
      tryAt = TRY_BYTES;
    } else waiting.add(chunk, encoding);
    goOn(done);
  };
  output._writev = (chunks, done) => {
    for (const { chunk, encoding } of chunks) waiting.add(chunk, encoding);
    goOn(done);
  };
  output._final = (done) => {
    finish = () => final.call(output, done);
    handOver();
    if (underWay === null) settle();
  };
  atExit((crashed) => {
    exiting = true;
    if (underWay !== null) isRead &&= writeOut(fd, underWay.subarray(underWay.length - handle.writeQueueSize));
    writeOutRest();
    // The stream goes on with what waits behind it.
    settle();
    // Node prints the error after that, and would not wait for room.
    if (crashed && isRead) handle.setBlocking(true);
  });
}

/** What has no room, in the order in which it came. */
class Waiting {
  #parts: Buffer[] = [];
  #partBytes = 0;
  /** Strings are put together much faster than buffers. */
  #text = '';

  /** At least so many. */
  get bytes(): number {
    return this.#partBytes + this.#text.length;
  }

  add(chunk: string | Buffer, encoding: BufferEncoding | 'buffer' = 'utf8'): void {
    if (typeof chunk === 'string' && encoding === 'utf8') this.#text += chunk;
    // Whoever has written it may use it for something else.
    else if (chunk.length > 0) this.#push(Buffer.from(bufferOf(chunk, encoding)));
    if (this.#text.length > MOST_BYTES) this.#push(Buffer.alloc(0));
  }

  take(): Buffer {
    this.#push(Buffer.alloc(0));
    const [only] = this.#parts;
    const all = this.#parts.length === 1 && only ? only : Buffer.concat(this.#parts);
    this.#parts = [];
    this.#partBytes = 0;
    return all;
  }

  #push(bytes: Buffer): void {
    const text = Buffer.from(this.#text);
    this.#text = '';
    for (const part of [text, bytes]) {
      if (part.length > 0) this.#parts.push(part);
      this.#partBytes += part.length;
    }
  }
}

function bufferOf(chunk: string | Buffer, encoding: BufferEncoding | 'buffer'): Buffer {
  return typeof chunk === 'string' ? Buffer.from(chunk, encoding as BufferEncoding) : chunk;
}

/** Writes a chunk. @returns what there is no room for; null for nothing. */
function leftOf(fd: number, chunk: string | Buffer, encoding: BufferEncoding | 'buffer'): Buffer | null {
  let count = 0;
  try {
    if (typeof chunk !== 'string') count = writeSync(fd, chunk);
    else count = writeSync(fd, chunk, null, encoding as BufferEncoding);
  } catch {
    // No room. Of another error, the next one who writes it tells.
  }
  const bytes = typeof chunk === 'string' ? Buffer.byteLength(chunk, encoding as BufferEncoding) : chunk.length;
  return count === bytes ? null : bufferOf(chunk, encoding).subarray(count);
}

/** Writes what there is room for. @returns how much that was. */
function written(fd: number, bytes: Buffer): number {
  try {
    return writeSync(fd, bytes);
  } catch {
    return 0;
  }
}

/** Writes all, and waits for room. @returns whether all is written: nobody may be there who reads. */
function writeOut(fd: number, bytes: Buffer): boolean {
  let takenAt = now();
  for (let at = 0; at < bytes.length; ) {
    const count = written(fd, bytes.subarray(at));
    at += count;
    if (count > 0) takenAt = now();
    else if (now() - takenAt > PATIENCE_MS) return false;
    else Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LOOK_MS);
  }
  return true;
}
