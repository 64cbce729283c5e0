import { StringDecoder } from 'node:string_decoder';
import { UpkeepError } from './errors.ts';

/** The longest frame a daemon or supervisor reads from a peer; longer ones end the connection. */
export const MAX_FRAME_BYTES = 8 * 1024 * 1024;

/** The longest answer: one of a version that does not send lists in pieces may hold many apps with their environments. */
export const MAX_ANSWER_BYTES = 256 * 1024 * 1024;

/** A frame is one JSON value on one line, ended by a newline. */
export function encodeFrame(message: unknown): string {
  return `${JSON.stringify(message)}\n`;
}

/**
 * Cuts a byte stream into frames and parses them. It keeps at most `maxBytes` of an unfinished frame.
 * @throws UpkeepError PROTOCOL_MALFORMED from `push`: the stream cannot be read any further.
 */
export class FrameReader {
  readonly #maxBytes: number;
  readonly #utf8 = new StringDecoder('utf8');
  #parts: string[] = [];
  #size = 0;

  constructor(maxBytes: number = MAX_FRAME_BYTES) {
    this.#maxBytes = maxBytes;
  }

  push(chunk: Buffer): unknown[] {
    const lines = this.#utf8.write(chunk).split('\n');
    const rest = lines.pop() ?? '';
    const frames: unknown[] = [];
    for (const line of lines) {
      const text = this.#size === 0 ? line : this.#parts.join('') + line;
      this.#parts = [];
      this.#size = 0;
      if (text.length > this.#maxBytes) throw this.#tooLong();
      if (text.trim() !== '') frames.push(parse(text));
    }
    this.#parts.push(rest);
    this.#size += rest.length;
    if (this.#size > this.#maxBytes) throw this.#tooLong();
    return frames;
  }

  #tooLong(): UpkeepError {
    return new UpkeepError('PROTOCOL_MALFORMED', `a frame is longer than ${this.#maxBytes} bytes`);
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    const start = JSON.stringify(text.slice(0, 40));
    throw new UpkeepError('PROTOCOL_MALFORMED', `a frame is no JSON, it starts with ${start}`, { cause });
  }
}
