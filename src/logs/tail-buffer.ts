const KEPT_BYTES = 8 * 1024;
const KEPT_LINES = 12;
const ERROR_LINE = /^(\w*Error|FATAL ERROR|Traceback)\b/;
/** Frames inside Node say nothing of the app, and push out the lines that do. */
const NODE_FRAME = /^\s+at .*\bnode:internal\/|^\s*\d+: 0x[\da-f]+ /;

/** The last lines of a stream, for error messages. */
export class TailBuffer {
  /** Made when there is something to keep: most apps write little to stderr. */
  #bytes: Buffer | null = null;
  #length = 0;

  push(chunk: Buffer): void {
    this.#bytes ??= Buffer.alloc(2 * KEPT_BYTES);
    const from = Math.max(0, chunk.length - KEPT_BYTES);
    if (this.#length + chunk.length - from > this.#bytes.length) {
      const kept = Math.min(this.#length, KEPT_BYTES);
      this.#bytes.copyWithin(0, this.#length - kept, this.#length);
      this.#length = kept;
    }
    this.#length += chunk.copy(this.#bytes, this.#length, from);
  }

  clear(): void {
    this.#length = 0;
  }

  lines(): readonly string[] {
    if (this.#bytes === null) return [];
    const from = firstCharacter(this.#bytes, Math.max(0, this.#length - KEPT_BYTES));
    const lines = this.#bytes
      .toString('utf8', from, this.#length)
      .split('\n')
      .map((line) => line.trimEnd())
      .filter((line) => line !== '' && !NODE_FRAME.test(line));
    const tail = lines.slice(-KEPT_LINES);
    // The line that says what went wrong may stand above a long stack.
    const error = lines.findLast((line) => ERROR_LINE.test(line));
    return error === undefined || tail.includes(error) ? tail : [error, ...tail.slice(1)];
  }
}

/** @returns the index, from `at` on, of a byte that begins a character in UTF-8. */
function firstCharacter(bytes: Buffer, at: number): number {
  let index = at;
  while (((bytes[index] ?? 0) & 0xc0) === 0x80) index++;
  return index;
}
