import type { Socket } from 'node:net';
import { UpkeepError } from './errors.ts';
import { encodeFrame, FrameReader, MAX_ANSWER_BYTES, MAX_FRAME_BYTES } from './framing.ts';
import type { Hello } from './messages.ts';
import { PIECE_BYTES, pieces } from './pieces.ts';

export interface PeerHandlers {
  /** Answers a request; what it throws is sent back as an error. */
  readonly onRequest?: (method: string, params: unknown) => unknown;
  readonly onEvent?: (event: string, data: unknown) => void;
  readonly onHello?: (hello: Hello) => void;
  readonly onClose?: () => void;
  /** Longest frame accepted, in bytes. */
  readonly maxFrameBytes?: number;
  readonly beatMs?: number;
}

interface Pending {
  readonly method: string;
  /** Of an answer that is a list: what has come of it. */
  readonly parts: unknown[];
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout | null;
}

/**
 * While something is awaited that has no deadline, the other side is asked this often whether it lives; whatever it
 * sends counts as an answer.
 */
const BEAT_MS = 2000;
/** So many without an answer, and it stands still. */
const BEATS = 5;
/** Asks just that. Every peer answers it by itself, an older one by an error, which does as well. */
const ALIVE = 'alive';

/** Most bytes that may wait to be read by the other side before the connection is given up. */
const MAX_BACKLOG_BYTES = 64 * 1024 * 1024;
/** What is long waits until less than this waits to be read. */
const ROOM_BYTES = 4 * PIECE_BYTES;
/** Of one answer. */
const MOST_PARTS = 1000;

/** One side of a connection: requests, answers and events, as frames over a socket that it owns. */
export class Peer {
  readonly #socket: Socket;
  readonly #handlers: PeerHandlers;
  readonly #reader: FrameReader;
  readonly #pending = new Map<number, Pending>();
  readonly #beatMs: number;
  #nextId = 1;
  #closed = false;
  #beating: NodeJS.Timeout | null = null;
  /** What the other side said before it ended the connection. */
  #refusal: UpkeepError | null = null;
  /** Those that wait to send more. */
  #waiting: (() => void)[] = [];
  /** Beats since the other side was last heard. They count what this process did: it may have stood still itself. */
  #unanswered = 0;

  constructor(socket: Socket, handlers: PeerHandlers = {}) {
    this.#socket = socket;
    this.#handlers = handlers;
    this.#reader = new FrameReader(handlers.maxFrameBytes ?? MAX_FRAME_BYTES);
    this.#beatMs = handlers.beatMs ?? BEAT_MS;
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    // 'close' follows, and tells the owner.
    socket.on('error', () => {});
    socket.on('drain', () => this.#goOn());
    socket.on('close', () => this.#onClose());
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** The other side stood still when it was last needed, and has not been heard since. */
  get silent(): boolean {
    return this.#unanswered >= BEATS;
  }

  hello(hello: Hello): void {
    this.#write({ hello });
  }

  notify(event: string, data: unknown): void {
    this.#write({ event, data });
  }

  /**
   * @param timeoutMs 0 waits as long as the other side lives: for operations that have a deadline of their own.
   * @throws UpkeepError what the other side answered; PEER_SILENT when it does not, DAEMON_UNREACHABLE when it is gone,
   * TOO_LARGE for what it would not read: then it gets none of it.
   */
  request(method: string, params: unknown, timeoutMs: number): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(this.#lost(method));
      const id = this.#nextId++;
      const frame = encodeFrame({ id, method, params, parts: true });
      if (frame.length > MAX_FRAME_BYTES) return reject(tooLarge(`"${method}"`));
      const timer = timeoutMs === 0 ? null : setTimeout(() => this.#timeOut(id, method, timeoutMs), timeoutMs);
      this.#pending.set(id, { method, parts: [], resolve, reject, timer });
      this.#send(frame);
      if (!timer) this.#beat();
    });
  }

  /**
   * Resolves when the other side has read so much that more may be sent, or when it is gone.
   * @throws UpkeepError PEER_SILENT where it stands still.
   */
  async room(): Promise<void> {
    while (!this.#closed && this.#socket.writableLength > ROOM_BYTES) {
      if (this.silent) throw this.#silence();
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  /** Ends the connection once what was written is sent. */
  end(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #write(frame: unknown): void {
    this.#send(encodeFrame(frame));
  }

  #send(frame: string): void {
    if (this.#closed || this.#socket.writableEnded) return;
    this.#socket.write(frame);
    if (this.#socket.writableLength > MAX_BACKLOG_BYTES) this.#socket.destroy();
  }

  #goOn(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  #beat(): void {
    this.#beating ??= setInterval(() => {
      const waiting = [...this.#pending].filter(([, { timer }]) => timer === null);
      if (waiting.length === 0 || this.silent) this.#stopBeating();
      if (this.silent) {
        for (const [id, { reject }] of waiting) {
          this.#pending.delete(id);
          reject(this.#silence());
        }
        this.#goOn();
      } else if (waiting.length > 0) {
        this.#unanswered++;
        this.#write({ id: this.#nextId++, method: ALIVE, params: {} });
      }
    }, this.#beatMs);
  }

  #stopBeating(): void {
    if (this.#beating) clearInterval(this.#beating);
    this.#beating = null;
  }

  #read(chunk: Buffer): void {
    this.#unanswered = 0;
    try {
      for (const frame of this.#reader.push(chunk)) this.#dispatch(frame);
    } catch (error) {
      this.#write({ id: null, error: UpkeepError.from(error).toWire() });
      this.#socket.destroySoon();
    }
  }

  #dispatch(frame: unknown): void {
    if (typeof frame !== 'object' || frame === null) throw malformed(frame);
    const message = frame as Record<string, unknown>;
    if (typeof message['method'] === 'string' && typeof message['id'] === 'number') {
      if (message['method'] === ALIVE) this.#write({ id: message['id'], result: null });
      else void this.#answer(message['id'], message['method'], message['params'] ?? {}, message['parts'] === true);
    } else if (typeof message['id'] === 'number') {
      this.#settle(message['id'], message);
    } else if (typeof message['event'] === 'string') {
      this.#handlers.onEvent?.(message['event'], message['data']);
    } else if (message['hello']) {
      this.#handlers.onHello?.(message['hello'] as Hello);
    } else if (message['error']) {
      // The other side could not read us: nothing that is pending will be answered.
      this.#refusal = UpkeepError.fromWire(message['error']);
      this.#socket.destroy();
    } else {
      throw malformed(frame);
    }
  }

  /** @param inParts the other side takes a list in pieces. */
  async #answer(id: number, method: string, params: unknown, inParts: boolean): Promise<void> {
    const send = (answer: { readonly part: unknown } | { readonly result: unknown }): void => {
      const frame = encodeFrame({ id, ...answer });
      if (frame.length > MAX_ANSWER_BYTES) throw tooLarge(`the answer to "${method}"`);
      this.#send(frame);
    };
    try {
      if (!this.#handlers.onRequest) throw new UpkeepError('METHOD_UNKNOWN', `no method is offered here: ${method}`);
      const result = (await this.#handlers.onRequest(method, params)) ?? null;
      if (!inParts || !Array.isArray(result)) return send({ result });
      for (const part of pieces(result)) {
        send({ part });
        await this.room();
      }
      send({ result: [] });
    } catch (error) {
      this.#write({ id, error: UpkeepError.from(error).toWire() });
    }
  }

  #settle(id: number, message: Record<string, unknown>): void {
    const pending = this.#pending.get(id);
    if (!pending) return;
    const { part, result, error } = message;
    if (Array.isArray(part)) {
      // For as long as some of it comes.
      pending.timer?.refresh();
      pending.parts.push(part);
      if (pending.parts.length < MOST_PARTS) return;
    }
    this.#pending.delete(id);
    if (pending.timer) clearTimeout(pending.timer);
    if (error) pending.reject(UpkeepError.fromWire(error));
    else if (Array.isArray(part)) pending.reject(tooLarge(`the answer to "${pending.method}"`));
    else pending.resolve(pending.parts.length > 0 ? [...pending.parts, result].flat() : result);
  }

  #timeOut(id: number, method: string, timeoutMs: number): void {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    pending?.reject(new UpkeepError('PEER_SILENT', `no answer to "${method}" within ${timeoutMs} ms`));
  }

  #onClose(): void {
    this.#closed = true;
    this.#goOn();
    this.#stopBeating();
    for (const { reject, timer } of this.#pending.values()) {
      if (timer) clearTimeout(timer);
      reject(this.#lost('the request'));
    }
    this.#pending.clear();
    this.#handlers.onClose?.();
  }

  #silence(): UpkeepError {
    return new UpkeepError('PEER_SILENT', `nothing was heard for ${BEATS * this.#beatMs} ms`);
  }

  #lost(what: string): UpkeepError {
    if (this.#refusal) return this.#refusal;
    const hint = 'it comes back by itself, and what it was told goes on: `upkeep list` shows how far';
    return new UpkeepError('DAEMON_UNREACHABLE', `the daemon ended before ${what} was answered`, { hint });
  }
}

function tooLarge(what: string): UpkeepError {
  return new UpkeepError('TOO_LARGE', `${what} is longer than the other side reads`);
}

function malformed(frame: unknown): UpkeepError {
  // Not the frame itself: what is nested deeply cannot be turned back into text.
  const what = Array.isArray(frame) ? 'a list' : frame === null ? 'null' : `a value of type ${typeof frame}`;
  return new UpkeepError('PROTOCOL_MALFORMED', `not a request, answer or event: ${what}`);
}
