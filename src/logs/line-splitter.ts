/** A line longer than this is passed on in pieces. */
export const LONGEST_LINE_BYTES: number = 256 * 1024;
const NEWLINE = 10;

/** Ends a piece of a line that was cut. */
export const CUT: Buffer = Buffer.from(' [upkeep: the line is too long, and goes on below]\n');

/** @param cut whether they are one piece of a line, without its end. */
type Write = (lines: Buffer, cut: boolean) => void;

/** Passes on whole lines only, as bytes, so that several writers of one file never mix inside a line. */
export class LineSplitter {
  readonly #write: Write;
  #rest: Buffer[] = [];
  #restBytes = 0;

  constructor(write: Write) {
    this.#write = write;
  }

  get isEmpty(): boolean {
    return this.#restBytes === 0;
  }

  /** @param chunk is copied where it must be kept. */
  push(chunk: Buffer): void {
    const end = chunk.lastIndexOf(NEWLINE) + 1;
    if (end > 0) {
      const lines = chunk.subarray(0, end);
      this.#write(this.#restBytes === 0 ? lines : Buffer.concat([...this.#rest, lines]), false);
      this.#rest = [];
      this.#restBytes = 0;
    }
    if (end === chunk.length) return;
    this.#rest.push(Buffer.from(chunk.subarray(end)));
    this.#restBytes += chunk.length - end;
    if (this.#restBytes > LONGEST_LINE_BYTES) this.#cut();
  }

  /** Ends an unfinished line, as when its writer has exited. */
  flush(): void {
    if (this.#restBytes > 0) this.#write(Buffer.concat([this.take(), Buffer.of(NEWLINE)]), false);
  }

  /** Gives away the unfinished line. */
  take(): Buffer {
    const rest = Buffer.concat(this.#rest);
    this.#rest = [];
    this.#restBytes = 0;
    return rest;
  }

  #cut(): void {
    const piece = this.take();
    const end = wholeCharacters(piece);
    this.#write(piece.subarray(0, end), true);
    if (end < piece.length) this.#rest = [piece.subarray(end)];
    this.#restBytes = piece.length - end;
  }
}

/** @returns how many bytes there are before a character in UTF-8 that is not all there. */
function wholeCharacters(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back] ?? 0;
    if ((byte & 0xc0) === 0x80) continue;
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return length > back ? bytes.length - back : bytes.length;
  }
  return bytes.length;
}
