import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { StringDecoder } from 'node:string_decoder';

const CHUNK_BYTES = 64 * 1024;
/** A line longer than this is shown in pieces. */
const LONGEST_LINE = 256 * 1024;

/** Reads what is appended to a file, from an offset on, also when it is emptied or replaced. */
export class FileFollower {
  readonly #path: string;
  readonly #onLine: (line: string) => void;
  #utf8 = new StringDecoder('utf8');
  #fd: number | null = null;
  #offset: number;
  #rest = '';

  constructor(path: string, offset: number, onLine: (line: string) => void) {
    this.#path = path;
    this.#offset = offset;
    this.#onLine = onLine;
  }

  /** Passes on the whole lines that are new. */
  read(): void {
    this.#fd ??= this.#open();
    if (this.#fd === null) return;
    this.#readOpen(this.#fd);
    if (this.#replaced(this.#fd)) {
      this.close();
      this.#offset = 0;
      this.#fd = this.#open();
      if (this.#fd !== null) this.#readOpen(this.#fd);
    }
  }

  close(): void {
    if (this.#fd !== null) closeSync(this.#fd);
    this.#fd = null;
    this.#rest = '';
    this.#utf8 = new StringDecoder('utf8');
  }

  #open(): number | null {
    try {
      return openSync(this.#path, 'r');
    } catch {
      // Nothing was written yet.
      return null;
    }
  }

  #readOpen(fd: number): void {
    if (fstatSync(fd).size < this.#offset) {
      this.#offset = 0;
      this.#rest = '';
    }
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
    for (let bytes = -1; bytes !== 0; ) {
      bytes = readSync(fd, chunk, 0, CHUNK_BYTES, this.#offset);
      this.#offset += bytes;
      const lines = (this.#rest + this.#utf8.write(chunk.subarray(0, bytes))).split('\n');
      this.#rest = lines.pop() ?? '';
      for (const line of lines) this.#onLine(line);
      if (this.#rest.length > LONGEST_LINE) {
        this.#onLine(this.#rest);
        this.#rest = '';
      }
    }
  }

  #replaced(fd: number): boolean {
    return statSync(this.#path, { throwIfNoEntry: false })?.ino !== fstatSync(fd).ino;
  }
}
