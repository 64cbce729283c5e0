import { createReadStream, readSync } from 'node:fs';
import { createGunzip } from 'node:zlib';
import { timeInLine } from './line-time.ts';
import { openOwn } from './own-files.ts';
import type { Segment } from './segments.ts';
import type { TimesReader } from './times.ts';

const NEWLINE = 10;
const CHUNK_BYTES = 256 * 1024;
/** From the end, where few lines are mostly wanted, blocks grow from the one to the other. */
const FIRST_BLOCK_BYTES = 8 * 1024;
const BLOCK_BYTES = 64 * 1024;
/** A line longer than this is shown in pieces. */
const LONGEST_LINE = 1024 * 1024;

export interface LogLine {
  /** When it was written, in milliseconds since the epoch, as well as that is known. */
  readonly time: number;
  readonly text: string;
  /** It has no end in its file: the file ends, or a piece of a long line does. */
  readonly cut?: true | undefined;
}

/** As what the bytes of a line are read: `latin1` makes each a character, from which they can be had again as they were. */
export type LineEncoding = 'utf8' | 'latin1';

/** Gives the lines of one file their times. */
export class LineClock {
  readonly #times: TimesReader;
  readonly #otherwise: () => number;
  #last = 0;

  /** @param otherwise the time of lines of which nothing is known. */
  constructor(times: TimesReader, otherwise: () => number) {
    this.#times = times;
    this.#otherwise = otherwise;
  }

  /** Lines in their order: none is older than the one before. */
  line(text: string, offset: number, ended: boolean): LogLine {
    const known = this.#known(text, offset) ?? (this.#last || this.#otherwise());
    this.#last = Math.max(this.#last, known);
    return logLine(this.#last, text, ended);
  }

  /** A line of which the one before is not known. */
  lineAlone(text: string, offset: number, ended: boolean): LogLine {
    return logLine(this.#known(text, offset) ?? this.#otherwise(), text, ended);
  }

  #known(text: string, offset: number): number | null {
    return this.#times.at(offset) ?? timeInLine(text);
  }
}

function logLine(time: number, text: string, ended: boolean): LogLine {
  return ended ? { time, text } : { time, text, cut: true };
}

/** Puts chunks together to lines; `flush` gives the last one, where it has not ended. */
export class LineReader {
  readonly #clock: LineClock;
  readonly #encoding: LineEncoding;
  #rest: Buffer[] = [];
  #restBytes = 0;
  #offset: number;

  /** @param offset of the first byte in its file. */
  constructor(clock: LineClock, offset: number, encoding: LineEncoding) {
    this.#clock = clock;
    this.#offset = offset;
    this.#encoding = encoding;
  }

  /** Where the line begins that has not ended. */
  get lineStart(): number {
    return this.#offset;
  }

  push(chunk: Buffer): LogLine[] {
    const lines: LogLine[] = [];
    let at = 0;
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, at)) {
      lines.push(this.#line(chunk, at, end, 1));
      at = end + 1;
    }
    if (at < chunk.length) {
      this.#rest.push(Buffer.from(chunk.subarray(at)));
      this.#restBytes += chunk.length - at;
      if (this.#restBytes > LONGEST_LINE) lines.push(...this.flush());
    }
    return lines;
  }

  flush(): LogLine[] {
    return this.#restBytes === 0 ? [] : [this.#line(Buffer.alloc(0), 0, 0, 0)];
  }

  #line(chunk: Buffer, from: number, to: number, ending: number): LogLine {
    const bytes = this.#restBytes + to - from;
    const text =
      this.#restBytes === 0
        ? chunk.toString(this.#encoding, from, to)
        : Buffer.concat([...this.#rest, chunk.subarray(from, to)]).toString(this.#encoding);
    const line = this.#clock.line(text, this.#offset, ending > 0);
    this.#rest = [];
    this.#restBytes = 0;
    this.#offset += bytes + ending;
    return line;
  }
}

/** The bytes of a file, from one offset to another. Each chunk is only valid until the next is asked for. */
export function* fileChunks(fd: number, from: number, to: number): Generator<Buffer> {
  const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  for (let at = from; at < to; ) {
    const bytes = readSync(fd, chunk, 0, Math.min(CHUNK_BYTES, to - at), at);
    // It was emptied meanwhile.
    if (bytes === 0) return;
    yield chunk.subarray(0, bytes);
    at += bytes;
  }
}

/** What a compressed file holds, from an offset on. One that ends early gives what there is. */
export async function* gunzipped({ path, log }: Segment, from: number): AsyncGenerator<Buffer> {
  const file = createReadStream('', { fd: openOwn(path, log).fd });
  const stream = createGunzip({ chunkSize: CHUNK_BYTES });
  file.on('error', (error) => stream.destroy(error));
  file.pipe(stream);
  let skip = from;
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      if (skip < chunk.length) yield chunk.subarray(skip);
      skip = Math.max(0, skip - chunk.length);
    }
  } catch {
    // Cut off, or no gzip at all.
  } finally {
    file.destroy();
    stream.destroy();
  }
}

/** The lines of a file from its end to its beginning, in blocks; each block in the order of the file. */
export function* linesBackwards(
  fd: number,
  end: number,
  clock: LineClock,
  encoding: LineEncoding,
): Generator<LogLine[]> {
  /** The end of a line whose beginning is not read yet. */
  let rest: Buffer[] = [];
  let restBytes = 0;
  let wanted = FIRST_BLOCK_BYTES;
  for (let at = end; at > 0; ) {
    const size = Math.min(wanted, at);
    wanted = Math.min(2 * wanted, BLOCK_BYTES);
    const block = Buffer.allocUnsafe(size);
    readSync(fd, block, 0, size, at - size);
    at -= size;
    const first = at === 0 ? -1 : block.indexOf(NEWLINE);
    if (first === -1 && at > 0 && restBytes + size <= LONGEST_LINE) {
      rest.unshift(block);
      restBytes += size;
      continue;
    }
    const bytes = Buffer.concat([block.subarray(first + 1), ...rest]);
    rest = first === -1 ? [] : [block.subarray(0, first + 1)];
    restBytes = first + 1;
    const lines: LogLine[] = [];
    for (let from = 0; from < bytes.length; ) {
      const newline = bytes.indexOf(NEWLINE, from);
      const to = newline === -1 ? bytes.length : newline;
      lines.push(clock.lineAlone(bytes.toString(encoding, from, to), at + first + 1 + from, newline !== -1));
      from = to + 1;
    }
    if (lines.length > 0) yield lines;
  }
}
