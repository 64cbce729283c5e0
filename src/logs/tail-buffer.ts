import { StringDecoder } from 'node:string_decoder';

const KEPT_BYTES = 8 * 1024;
const KEPT_LINES = 12;
const ERROR_LINE = /^(\w*Error|FATAL ERROR|Traceback)\b/;
/** Frames inside Node say nothing of the app, and push out the lines that do. */
const NODE_FRAME = /^\s+at .*\bnode:internal\/|^\s*\d+: 0x[\da-f]+ /;

/** The last lines of a stream, for error messages. */
export class TailBuffer {
  #utf8 = new StringDecoder('utf8');
  #text = '';

  push(chunk: Buffer): void {
    // Of much at once only the end is decoded, from a whole character on.
    if (chunk.length > KEPT_BYTES) this.clear();
    const end = chunk.length > KEPT_BYTES ? chunk.subarray(firstCharacter(chunk, chunk.length - KEPT_BYTES)) : chunk;
    this.#text = (this.#text + this.#utf8.write(end)).slice(-KEPT_BYTES);
  }

  clear(): void {
    this.#utf8 = new StringDecoder('utf8');
    this.#text = '';
  }

  lines(): readonly string[] {
    const lines = this.#text
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
