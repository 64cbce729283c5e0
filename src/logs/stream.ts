import type { AppSpec } from '../domain/app-spec.ts';
import { type Format, formatOf, noteOf, type Origin } from './format.ts';
import type { Forward } from './forward.ts';
import { LONGEST_LINE_BYTES } from './line-splitter.ts';
import type { LogWriter } from './log-file.ts';

const NEWLINE = 10;

/** One stream of an instance on its way into its logs. */
export class Stream {
  readonly writers: readonly LogWriter[];
  readonly forwards: readonly Forward[];
  readonly #format: Format;
  readonly #note: (text: string) => Buffer;
  /** The rest of a line whose beginning may be missing, as it comes; null where there is none. */
  #headless: Buffer[] | null = null;
  #headlessBytes = 0;

  constructor(origin: Origin, writers: readonly LogWriter[], forwards: readonly Forward[], now: () => number) {
    this.writers = writers;
    this.forwards = forwards;
    this.#note = noteOf(origin, now);
    // Most have one file.
    const [first, ...others] = writers;
    const emit = (bytes: Buffer): void => {
      first?.write(bytes);
      for (const other of others) other.write(bytes);
    };
    this.#format = formatOf(origin, emit, now);
  }

  /** @param bytes only valid during the call. */
  push(bytes: Buffer): void {
    const rest = this.#headless === null ? bytes : this.#quote(bytes, this.#headless);
    if (rest.length === 0) return;
    this.#format.push(rest);
    for (const forward of this.forwards) forward.write(rest);
  }

  /** The process has ended, and so has its last line. */
  flush(): void {
    if (this.#headless !== null) this.#endQuote(this.#headless);
    this.#format.flush();
    for (const writer of this.writers) writer.flush();
    for (const forward of this.forwards) forward.flush();
  }

  setSpec(spec: AppSpec): void {
    this.#format.setSpec(spec);
  }

  note(text: string): void {
    const note = this.#note(text);
    for (const { file } of this.writers) file.append(note, null);
    for (const forward of this.forwards) forward.note(text);
  }

  /** @param cut whether what comes begins within a line. */
  noteGap(text: string, cut: boolean): void {
    for (const { file } of this.writers) file.noteGap(text, this.#note);
    for (const forward of this.forwards) forward.note(text);
    if (cut) this.#headless = [];
  }

  /** Gives away what it holds, for another process to go on with. */
  take(): readonly Buffer[] {
    if (this.#headless !== null) this.#endQuote(this.#headless);
    return [this.#format.take(), ...this.writers.map((writer) => writer.take())];
  }

  goOn([held, ...ofWriters]: readonly Buffer[]): void {
    for (const [at, writer] of this.writers.entries()) writer.goOn(ofWriters[at] ?? Buffer.alloc(0));
    if (held && held.length > 0) this.#format.goOn(held);
  }

  /** @returns what follows that line. */
  #quote(bytes: Buffer, headless: Buffer[]): Buffer {
    const end = bytes.indexOf(NEWLINE);
    headless.push(Buffer.from(end === -1 ? bytes : bytes.subarray(0, end)));
    this.#headlessBytes += bytes.length;
    if (end !== -1 || this.#headlessBytes > LONGEST_LINE_BYTES) this.#endQuote(headless);
    return end === -1 ? bytes.subarray(0, 0) : bytes.subarray(end + 1);
  }

  #endQuote(headless: readonly Buffer[]): void {
    this.#headless = null;
    const note = this.#note(`a line whose beginning may be missing: ${Buffer.concat(headless).toString('utf8')}`);
    for (const { file } of this.writers) file.append(note, null);
  }
}
