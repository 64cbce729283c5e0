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
}

interface Pending {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout | null;
}

/** Most bytes that may wait to be read by the other side before the connection is given up. */
const MAX_BACKLOG_BYTES = 64 * 1024 * 1024;

/** One side of a connection: requests, answers and events, as frames over a socket that it owns. */
export class Peer {
  readonly #socket: Socket;
  readonly #handlers: PeerHandlers;
  readonly #reader: FrameReader;
  readonly #pending = new Map<number, Pending>();
  #nextId = 1;
  #closed = false;

  constructor(socket: Socket, handlers: PeerHandlers = {}) {
    this.#socket = socket;
    this.#handlers = handlers;
    this.#reader = new FrameReader(handlers.maxFrameBytes ?? MAX_FRAME_BYTES);
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    // 'close' follows, and tells the owner.
    socket.on('error', () => {});
    socket.on('close', () => this.#onClose());
  }

  get closed(): boolean {
    return this.#closed;
  }

  hello(hello: Hello): void {
    this.#write({ hello });
  }

  notify(event: string, data: unknown): void {
    this.#write({ event, data });
  }

  /**
   * @param timeoutMs 0 waits as long as the connection lasts: for operations that have a deadline of their own.
   * @throws UpkeepError what the other side answered, or DAEMON_UNREACHABLE when it does not.
   */
  request(method: string, params: unknown, timeoutMs: number): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(lost(method));
      const id = this.#nextId++;
      const timer = timeoutMs === 0 ? null : setTimeout(() => this.#timeOut(id, method, timeoutMs), timeoutMs);
      this.#pending.set(id, { resolve, reject, timer });
      this.#write({ id, method, params });
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

  #read(chunk: Buffer): void {
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
      void this.#answer(message['id'], message['method'], message['params'] ?? {});
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
    pending?.reject(new UpkeepError('DAEMON_UNREACHABLE', `no answer to "${method}" within ${timeoutMs} ms`));
  }

  #onClose(): void {
    this.#closed = true;
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
