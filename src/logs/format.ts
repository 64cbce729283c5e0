import { isUtf8 } from 'node:buffer';
import dayjs from 'dayjs';
import { type AppSpec, programToRun } from '../domain/app-spec.ts';
import { LineSplitter } from './line-splitter.ts';

const NEWLINE = 10;
const QUOTE = 34;
const BACKSLASH = 92;
const OPEN_BRACE = 123;
const CLOSE_BRACE = 125;

/** What is formatted is passed on in pieces of at most this size. All formats share the buffer, as each piece is used up at once. */
const PIECE_BYTES = 256 * 1024;
const piece = Buffer.allocUnsafeSlow(PIECE_BYTES);

/** Takes bytes as they come from one stream of an instance, and passes them on as its log has them. */
export interface Format {
  /** @param bytes only valid during the call, as are those that are passed on. */
  readonly push: (bytes: Buffer) => void;
  /** The writer has ended: so does its last line. */
  readonly flush: () => void;
  /** Whether it keeps unfinished lines to itself. */
  readonly holds: boolean;
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
  return { holds: false, push: emit, flush: () => {}, take: () => NOTHING, goOn: () => {}, setSpec: () => {} };
}

/** Makes lines of upkeep's own, as the logs of this spec have their lines. */
export function noteOf(origin: Origin, now: () => number): (text: string) => Buffer {
  return (text) => {
    const parts: Buffer[] = [];
    formatOf(origin, (bytes) => parts.push(Buffer.from(bytes)), now).push(Buffer.from(`upkeep: ${text}\n`));
    return Buffer.concat(parts);
  };
}

/** Begins each line with the time. Bytes are passed on at once, unfinished lines too. */
class TimeFormat implements Format {
  readonly holds = false;
  readonly #stamp: (now: number) => Buffer;
  readonly #emit: Emit;
  readonly #now: () => number;
  #inLine = false;

  constructor(dateFormat: string, emit: Emit, now: () => number) {
    this.#emit = emit;
    this.#now = now;
    this.#stamp = oncePerMs((at) => Buffer.from(`${dayjs(at).format(dateFormat)}: `));
  }

  push(bytes: Buffer): void {
    const stamp = this.#stamp(this.#now());
    let filled = 0;
    for (let at = 0; at < bytes.length; ) {
      const end = bytes.indexOf(NEWLINE, at) + 1 || bytes.length;
      if (filled + stamp.length + end - at > PIECE_BYTES) {
        this.#emit(piece.subarray(0, filled));
        filled = 0;
      }
      if (!this.#inLine) {
        piece.set(stamp, filled);
        filled += stamp.length;
      }
      piece.set(bytes.subarray(at, end), filled);
      filled += end - at;
      this.#inLine = bytes[end - 1] !== NEWLINE;
      at = end;
    }
    if (filled > 0) this.#emit(piece.subarray(0, filled));
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
const ESCAPED = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte < 32 || byte === QUOTE || byte === BACKSLASH ? 1 : 0,
);
const ESCAPES = Array.from({ length: 256 }, (_, byte) =>
  Buffer.from(JSON.stringify(String.fromCharCode(byte)).slice(1, -1)),
);
/** No byte becomes longer than this in a text of JSON. */
const LONGEST_ESCAPE = 6;

/** Fields of upkeep's: the app's own of these names are kept under `app_` and the name. */
const RESERVED: ReadonlySet<string> = new Set(['time', 'app', 'instance', 'stream', 'release']);

/** Makes each line an object of JSON. A line that is one keeps its fields. */
class JsonFormat implements Format {
  readonly holds = true;
  readonly #origin: Origin;
  readonly #emit: Emit;
  readonly #splitter: LineSplitter;
  readonly #head: (now: number) => Buffer;
  readonly #now: () => number;
  #release: string;

  constructor(origin: Origin, emit: Emit, now: () => number) {
    this.#origin = origin;
    this.#emit = emit;
    this.#now = now;
    this.#release = releaseOf(origin.spec);
    this.#splitter = new LineSplitter((lines, cut) => {
      if (cut) this.#emitObject({ message: lines.toString('utf8'), cut: true });
      else this.#format(lines);
    });
    this.#head = oncePerMs((at) => Buffer.from(this.#fields(at)));
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
    // Text of another encoding is made what JSON may hold.
    const bytes = isUtf8(lines) ? lines : Buffer.from(lines.toString('utf8'));
    const head = this.#head(this.#now());
    let filled = 0;
    let special = -1;
    for (let at = 0; at < bytes.length; ) {
      const end = bytes.indexOf(NEWLINE, at);
      const length = end - at;
      if (filled + head.length + length * LONGEST_ESCAPE + 32 > PIECE_BYTES) {
        if (filled > 0) this.#emit(piece.subarray(0, filled));
        filled = 0;
      }
      const own = bytes[at] === OPEN_BRACE ? ownFields(bytes.toString('utf8', at, end)) : null;
      if (head.length + length * LONGEST_ESCAPE + 32 > PIECE_BYTES) {
        if (own === null) this.#emitObject({ message: bytes.toString('utf8', at, end) });
        else this.#emit(Buffer.concat([head, Buffer.from(`${own}\n`)]));
        at = end + 1;
        continue;
      }
      piece.set(head, filled);
      filled += head.length;
      if (own !== null) {
        filled += piece.write(`${own}\n`, filled);
        at = end + 1;
        continue;
      }
      filled += piece.write(',"message":"', filled);
      // Each byte is looked at once: most lines hold nothing special and are copied as they are.
      for (let from = at; ; ) {
        while (special < end && (special < from || ESCAPED[bytes[special] as number] === 0)) special++;
        const to = Math.min(special, end);
        if (to > from) piece.set(bytes.subarray(from, to), filled);
        filled += to - from;
        if (to === end) break;
        const escape = ESCAPES[bytes[to] as number] as Buffer;
        piece.set(escape, filled);
        filled += escape.length;
        from = to + 1;
      }
      piece[filled++] = QUOTE;
      piece[filled++] = CLOSE_BRACE;
      piece[filled++] = NEWLINE;
      at = end + 1;
    }
    if (filled > 0) this.#emit(piece.subarray(0, filled));
  }

  #emitObject(fields: object): void {
    this.#emit(Buffer.from(`${this.#fields(this.#now())},${JSON.stringify(fields).slice(1)}\n`));
  }

  /** The beginning of an object. */
  #fields(at: number): string {
    const { spec, id, stream } = this.#origin;
    const { dateFormat } = spec.logs;
    const time = dateFormat === null ? new Date(at).toISOString() : dayjs(at).format(dateFormat);
    const fields = { time, app: spec.name, instance: id, stream, release: this.#release };
    return JSON.stringify(fields).slice(0, -1);
  }
}

/** What follows upkeep's fields when a line is an object of JSON; null when it is none. */
function ownFields(line: string): string | null {
  let parsed: unknown;
  try {
    parsed = JSON.parse(line);
  } catch {
    return null;
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return null;
  const names = Object.keys(parsed);
  if (names.length === 0) return '}';
  if (!names.some((name) => RESERVED.has(name))) return `,${line.trim().slice(1)}`;
  const renamed = Object.entries(parsed).map(([name, value]) => [RESERVED.has(name) ? `app_${name}` : name, value]);
  return `,${JSON.stringify(Object.fromEntries(renamed)).slice(1)}`;
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
