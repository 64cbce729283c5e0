/** A line longer than this is passed on in pieces. */
const LONGEST_LINE_BYTES = 256 * 1024;
const NEWLINE = 10;

/** Passes on whole lines only, as bytes, so that several writers of one file never mix inside a line. */
export class LineSplitter {
  readonly #write: (lines: Buffer) => void;
  #rest: Buffer[] = [];
  #restBytes = 0;

  constructor(write: (lines: Buffer) => void) {
    this.#write = write;
  }

  /** @param chunk is copied where it must be kept. */
  push(chunk: Buffer): void {
    const end = chunk.lastIndexOf(NEWLINE) + 1;
    if (end > 0) {
      this.#write(
        this.#restBytes === 0 ? chunk.subarray(0, end) : Buffer.concat([...this.#rest, chunk.subarray(0, end)]),
      );
      this.#rest = [];
      this.#restBytes = 0;
    }
    if (end === chunk.length) return;
    this.#rest.push(Buffer.from(chunk.subarray(end)));
    this.#restBytes += chunk.length - end;
    if (this.#restBytes > LONGEST_LINE_BYTES) this.flush();
  }

  /** Ends an unfinished line, as when its writer has exited. */
  flush(): void {
    if (this.#restBytes === 0) return;
    this.#write(Buffer.concat([...this.#rest, Buffer.of(NEWLINE)]));
    this.#rest = [];
    this.#restBytes = 0;
  }
}
