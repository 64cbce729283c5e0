import type { Socket } from 'node:net';
import { UpkeepError } from './errors.ts';
import { encodeFrame, FrameReader, MAX_FRAME_BYTES } from './framing.ts';
import type { Hello } from './messages.ts';

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
   * @throws UpkeepError what the other side answered; PEER_SILENT when it does not, DAEMON_UNREACHABLE when it is gone.
   */
  request(method: string, params: unknown, timeoutMs: number): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(lost(method));
      const id = this.#nextId++;
      const timer = timeoutMs === 0 ? null : setTimeout(() => this.#timeOut(id, method, timeoutMs), timeoutMs);
      this.#pending.set(id, { resolve, reject, timer });
      this.#write({ id, method, params });
      if (!timer) this.#beat();
    });
  }

  /** Ends the connection once what was written is sent. */
  end(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #write(frame: unknown): void {
    if (this.#closed || this.#socket.writableEnded) return;
    this.#socket.write(encodeFrame(frame));
    if (this.#socket.writableLength > MAX_BACKLOG_BYTES) this.#socket.destroy();
  }

  #beat(): void {
    this.#beating ??= setInterval(() => {
      const waiting = [...this.#pending].filter(([, { timer }]) => timer === null);
      if (waiting.length === 0 || this.silent) this.#stopBeating();
      if (this.silent) {
        for (const [id, { reject }] of waiting) {
          this.#pending.delete(id);
          reject(new UpkeepError('PEER_SILENT', `nothing was heard for ${BEATS * this.#beatMs} ms`));
        }
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
      else void this.#answer(message['id'], message['method'], message['params'] ?? {});
    } else if (typeof message['id'] === 'number') {
      this.#settle(message['id'], message);
    } else if (typeof message['event'] === 'string') {
      this.#handlers.onEvent?.(message['event'], message['data']);
    } else if (message['hello']) {
      this.#handlers.onHello?.(message['hello'] as Hello);
    } else if (message['error']) {
      // The other side could not read us: nothing that is pending will be answered.
      this.#socket.destroy();
    } else {
      throw malformed(frame);
    }
  }

  async #answer(id: number, method: string, params: unknown): Promise<void> {
    try {
      if (!this.#handlers.onRequest) throw new UpkeepError('METHOD_UNKNOWN', `no method is offered here: ${method}`);
      this.#write({ id, result: (await this.#handlers.onRequest(method, params)) ?? null });
    } catch (error) {
      this.#write({ id, error: UpkeepError.from(error).toWire() });
    }
  }

  #settle(id: number, message: Record<string, unknown>): void {
    const pending = this.#pending.get(id);
    if (!pending) return;
    this.#pending.delete(id);
    if (pending.timer) clearTimeout(pending.timer);
    if (message['error']) pending.reject(UpkeepError.fromWire(message['error']));
    else pending.resolve(message['result']);
  }

  #timeOut(id: number, method: string, timeoutMs: number): void {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    pending?.reject(new UpkeepError('PEER_SILENT', `no answer to "${method}" within ${timeoutMs} ms`));
  }

  #onClose(): void {
    this.#closed = true;
    this.#stopBeating();
    for (const { reject, timer } of this.#pending.values()) {
      if (timer) clearTimeout(timer);
      reject(lost('the request'));
    }
    this.#pending.clear();
    this.#handlers.onClose?.();
  }
}

function lost(what: string): UpkeepError {
  const hint = 'it comes back by itself, and what it was told goes on: `upkeep list` shows how far';
  return new UpkeepError('DAEMON_UNREACHABLE', `the daemon ended before ${what} was answered`, { hint });
}

function malformed(frame: unknown): UpkeepError {
  // Not the frame itself: what is nested deeply cannot be turned back into text.
  const what = Array.isArray(frame) ? 'a list' : frame === null ? 'null' : `a value of type ${typeof frame}`;
  return new UpkeepError('PROTOCOL_MALFORMED', `not a request, answer or event: ${what}`);
}
