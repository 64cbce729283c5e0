import { isUtf8 } from 'node:buffer';
import dayjs from 'dayjs';
import { type AppSpec, programToRun } from '../domain/app-spec.ts';
import { LineSplitter } from './line-splitter.ts';
import { ownFields } from './own-fields.ts';

const NEWLINE = 10;
const QUOTE = 34;
const BACKSLASH = 92;
const OPEN_BRACE = 123;
const CLOSE_BRACE = 125;
const MESSAGE = ',"message":"';
const END = '"}\n';

/**
 * Where formats work, shared by all, as each piece is used up before the next is made: first what is to be formatted, then
 * what becomes of it, then what each line begins with. Within one buffer, bytes are moved without making objects for
 * each line. Pages that are never touched take no memory.
 */
const INPUT_BYTES = 2 * 1024 * 1024;
const PIECE_BYTES = 256 * 1024;
const HEAD_BYTES = 64 * 1024;
const PIECE = INPUT_BYTES;
const HEAD = PIECE + PIECE_BYTES;
const area = Buffer.allocUnsafeSlow(INPUT_BYTES + PIECE_BYTES + HEAD_BYTES);
const words = new Int32Array(area.buffer, 0, INPUT_BYTES / 4);

/** Takes bytes as they come from one stream of an instance, and passes them on as its log has them. */
export interface Format {
  /** @param bytes only valid during the call, as are those that are passed on. */
  readonly push: (bytes: Buffer) => void;
  /** The writer has ended: so does its last line. */
  readonly flush: () => void;
  /** Gives away what it holds of a line, for another process to go on with. */
  readonly take: () => Buffer;
  readonly goOn: (held: Buffer) => void;
  /** From now on another release writes. */
  readonly setSpec: (spec: AppSpec) => void;
}

export interface Origin {
  readonly spec: AppSpec;
  readonly id: number;
  readonly stream: 'out' | 'err';
}

const NOTHING = Buffer.alloc(0);

type Emit = (bytes: Buffer) => void;

export function formatOf(origin: Origin, emit: Emit, now: () => number): Format {
  const { type, dateFormat } = origin.spec.logs;
  if (type === 'json') return new JsonFormat(origin, emit, now);
  if (dateFormat !== null) return new TimeFormat(dateFormat, emit, now);
  return { push: emit, flush: () => {}, take: () => NOTHING, goOn: () => {}, setSpec: () => {} };
}

/** Makes lines of upkeep's own, as the logs of this spec have their lines. Not in the area: it may be in use. */
export function noteOf(origin: Origin, now: () => number): (text: string) => Buffer {
  const { type, dateFormat } = origin.spec.logs;
  return (text) => {
    const message = `upkeep: ${text}`;
    if (type === 'json') {
      const own = JSON.stringify({ message });
      return Buffer.from(`${jsonFields(origin, releaseOf(origin.spec), now())},${own.slice(1)}\n`);
    }
    const stamp = dateFormat === null ? '' : stampOf(dateFormat, now());
    return Buffer.from(
      message
        .split('\n')
        .map((line) => `${stamp}${line}\n`)
        .join(''),
    );
  };
}

function stampOf(dateFormat: string, at: number): string {
  return `${dayjs(at).format(dateFormat)}: `;
}

/** Begins each line with the time. Bytes are passed on at once, unfinished lines too. */
class TimeFormat implements Format {
  readonly #stamp: (now: number) => Buffer;
  readonly #emit: Emit;
  readonly #now: () => number;
  #inLine = false;

  constructor(dateFormat: string, emit: Emit, now: () => number) {
    this.#emit = emit;
    this.#now = now;
    this.#stamp = oncePerMs((at) => Buffer.from(stampOf(dateFormat, at)));
  }

  push(bytes: Buffer): void {
    const stamp = this.#stamp(this.#now());
    area.set(bytes);
    area.set(stamp, HEAD);
    let filled = PIECE;
    for (let at = 0; at < bytes.length; ) {
      const end = bytes.indexOf(NEWLINE, at) + 1 || bytes.length;
      if (filled + stamp.length + end - at > HEAD) {
        this.#emit(area.subarray(PIECE, filled));
        filled = PIECE;
      }
      if (!this.#inLine) {
        area.copyWithin(filled, HEAD, HEAD + stamp.length);
        filled += stamp.length;
      }
      area.copyWithin(filled, at, end);
      filled += end - at;
      this.#inLine = area[end - 1] !== NEWLINE;
      at = end;
    }
    if (filled > PIECE) this.#emit(area.subarray(PIECE, filled));
  }

  flush(): void {
    // The log ends the line.
    this.#inLine = false;
  }

  /** Only whether there is one: it was passed on already. */
  take(): Buffer {
    return this.#inLine ? Buffer.of(1) : NOTHING;
  }

  goOn(held: Buffer): void {
    this.#inLine = held.length > 0;
  }

  setSpec(): void {}
}

/** What JSON does not have as it is in a text: 1. */
const SPECIAL = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte < 32 || byte === QUOTE || byte === BACKSLASH ? 1 : 0,
);
const ESCAPES = Array.from({ length: 256 }, (_, byte) =>
  Buffer.from(JSON.stringify(String.fromCharCode(byte)).slice(1, -1)),
);
/** No byte becomes longer than this in a text of JSON. */
const LONGEST_ESCAPE = 6;

/** Makes each line an object of JSON. A line that is one keeps its fields. */
class JsonFormat implements Format {
  readonly #origin: Origin;
  readonly #emit: Emit;
  readonly #splitter: LineSplitter;
  /** What a line that is a text begins with. */
  readonly #head: (now: number) => Buffer;
  readonly #now: () => number;
  #release: string;

  constructor(origin: Origin, emit: Emit, now: () => number) {
    this.#origin = origin;
    this.#emit = emit;
    this.#now = now;
    this.#release = releaseOf(origin.spec);
    this.#splitter = new LineSplitter((lines, cut) => {
      if (cut) {
        const own = JSON.stringify({ message: lines.toString('utf8'), cut: true });
        this.#emit(Buffer.from(`${this.#fields(this.#now())},${own.slice(1)}\n`));
      } else this.#format(lines);
    });
    this.#head = oncePerMs((at) => Buffer.from(`${this.#fields(at)}${MESSAGE}`));
  }

  push(bytes: Buffer): void {
    this.#splitter.push(bytes);
  }

  flush(): void {
    this.#splitter.flush();
  }

  take(): Buffer {
    return this.#splitter.take();
  }

  goOn(held: Buffer): void {
    this.#splitter.push(held);
  }

  setSpec(spec: AppSpec): void {
    this.#release = releaseOf(spec);
  }

  /** @param lines whole ones. */
  #format(lines: Buffer): void {
    // What is no text in UTF-8 is made what JSON may hold.
    const bytes = isUtf8(lines) ? lines : Buffer.from(lines.toString('utf8'));
    const now = this.#now();
    const head = this.#head(now);
    area.set(bytes);
    area.set(head, HEAD);
    let filled = PIECE;
    for (let at = 0, next = 0; at < bytes.length; at = next) {
      const end = bytes.indexOf(NEWLINE, at);
      next = end + 1;
      if (filled + head.length + (end - at) * LONGEST_ESCAPE + END.length > HEAD) {
        if (filled > PIECE) this.#emit(area.subarray(PIECE, filled));
        filled = PIECE;
      }
      const own = area[at] === OPEN_BRACE ? ownFields(bytes.toString('utf8', at, end)) : null;
      if (head.length + (end - at) * LONGEST_ESCAPE + END.length > PIECE_BYTES) {
        const rest = own ?? `,${JSON.stringify({ message: bytes.toString('utf8', at, end) }).slice(1)}`;
        this.#emit(Buffer.from(`${this.#fields(now)}${rest}\n`));
        continue;
      }
      if (own !== null) {
        area.copyWithin(filled, HEAD, HEAD + head.length - MESSAGE.length);
        filled += head.length - MESSAGE.length;
        filled += area.write(`${own}\n`, filled);
        continue;
      }
      area.copyWithin(filled, HEAD, HEAD + head.length);
      filled += head.length;
      // Most lines hold nothing special.
      for (let from = at; ; ) {
        const special = nextSpecial(from, end);
        area.copyWithin(filled, from, special);
        filled += special - from;
        if (special === end) break;
        const escape = ESCAPES[area[special] as number] as Buffer;
        area.set(escape, filled);
        filled += escape.length;
        from = special + 1;
      }
      area[filled++] = QUOTE;
      area[filled++] = CLOSE_BRACE;
      area[filled++] = NEWLINE;
    }
    if (filled > PIECE) this.#emit(area.subarray(PIECE, filled));
  }

  #fields(at: number): string {
    return jsonFields(this.#origin, this.#release, at);
  }
}

/** The beginning of an object. */
function jsonFields({ spec, id, stream }: Origin, release: string, at: number): string {
  const { dateFormat } = spec.logs;
  const time = dateFormat === null ? new Date(at).toISOString() : dayjs(at).format(dateFormat);
  return JSON.stringify({ time, app: spec.name, instance: id, stream, release }).slice(0, -1);
}

/** Where, from `from` to `end` in the area, the first byte stands that JSON does not have as it is. */
function nextSpecial(from: number, end: number): number {
  let at = from;
  for (; at < end && (at & 3) !== 0; at++) if (SPECIAL[area[at] as number] === 1) return at;
  // Four bytes at a time: a byte below N is one that borrows when N is taken away, and is no high one.
  for (; at + 4 <= end; at += 4) {
    const word = words[at >> 2] as number;
    const quote = word ^ 0x22222222;
    const backslash = word ^ 0x5c5c5c5c;
    const found =
      ((word - 0x20202020) & ~word) | ((quote - 0x01010101) & ~quote) | ((backslash - 0x01010101) & ~backslash);
    if ((found & 0x80808080) !== 0) break;
  }
  while (at < end && SPECIAL[area[at] as number] === 0) at++;
  return at;
}

function releaseOf(spec: AppSpec): string {
  return programToRun(spec).cwd;
}

/** Chunks come many times a millisecond. */
function oncePerMs(make: (now: number) => Buffer): (now: number) => Buffer {
  let madeAt = -1;
  let made: Buffer = Buffer.alloc(0);
  return (now) => {
    if (now !== madeAt) {
      made = make(now);
      madeAt = now;
    }
    return made;
  };
}
