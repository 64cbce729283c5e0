import { Socket } from 'node:net';
import { sessionMarkName } from '../protocol/ipc.ts';
import type { RawHandle } from './raw-handle.ts';

/** The head of a first request is read up to this size, and for this long. */
const HEAD_BYTES = 16_384;
const HEAD_MS = 5000;
/** Heads that are read at a time. */
const MOST_HEADS = 1024;
const HEAD_END = '\r\n\r\n';

/** The address of the other end; '' for a unix socket. */
export function addressOf(client: RawHandle): string {
  const name: Record<string, unknown> = {};
  client.getpeername?.(name);
  return typeof name['address'] === 'string' ? name['address'] : '';
}

/** Rendezvous hashing (FNV-1a): of all slots the client goes to the one that weighs most, so few move when one goes. */
export function weigh(client: string, slot: number): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(`${client}\0${slot}`)) hash = Math.imul(hash ^ byte, 0x01000193);
  hash ^= hash >>> 15;
  return Math.imul(hash, 0x2c1b3c6d) >>> 0;
}

export function cookieIn(head: string, cookie: string): string | null {
  const line = /^cookie:(.*)$/im.exec(head)?.[1] ?? '';
  for (const pair of line.split(';')) {
    const at = pair.indexOf('=');
    if (at !== -1 && pair.slice(0, at).trim() === cookie) return pair.slice(at + 1).trim();
  }
  return null;
}

/** A mark counts only beside what it marks. */
export function sessionIn(head: string, cookie: string): Omit<Head, 'head'> {
  const value = cookieIn(head, cookie);
  const mark = value === null ? null : cookieIn(head, sessionMarkName(cookie));
  return { value, marked: mark !== null && /^\d{1,9}$/.test(mark) ? Number(mark) : null };
}

/** What was read of a connection, in base64, and whose it is. */
export interface Head {
  readonly head: string;
  /** The value of the cookie. */
  readonly value: string | null;
  /** The place of the worker where that value was made, as its mark tells. */
  readonly marked: number | null;
}

/** Reads connections until their first head is complete. */
export class HeadReader {
  /** What ends each of the readings that go on, in the order in which they have begun. */
  readonly #ends = new Set<() => void>();
  readonly #most: number;

  constructor(most = MOST_HEADS) {
    this.#most = most;
  }

  read(client: RawHandle, cookie: string): Promise<Head> {
    // Clients send a head at once; who has not for longest is the least likely to.
    const [oldest] = this.#ends;
    if (oldest && this.#ends.size >= this.#most) oldest();
    return new Promise((resolve) => {
      const socket = new Socket({ handle: client, allowHalfOpen: true } as ConstructorParameters<typeof Socket>[0]);
      const chunks: Buffer[] = [];
      let size = 0;
      let last = Buffer.alloc(0);
      const done = (): void => {
        clearTimeout(timer);
        this.#ends.delete(done);
        socket.removeAllListeners();
        socket.on('error', () => {});
        // The handle goes on without the socket that has read from it.
        const raw = socket as unknown as { _handle: { readStop: () => void; onread: () => void } | null };
        raw._handle?.readStop();
        raw._handle = null;
        const read = Buffer.concat(chunks);
        resolve({ head: read.toString('base64'), ...sessionIn(read.toString('latin1'), cookie) });
      };
      const timer = setTimeout(done, HEAD_MS);
      this.#ends.add(done);
      socket.on('error', done);
      socket.on('end', done);
      socket.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        size += chunk.length;
        // The end of a head may come in parts.
        const seen = Buffer.concat([last, chunk]);
        last = seen.subarray(-(HEAD_END.length - 1));
        // A TLS handshake does not begin with a letter; its cookies cannot be seen.
        const isHttp = /^[A-Z]/.test(String.fromCharCode(chunks[0]?.[0] ?? 0));
        if (size >= HEAD_BYTES || seen.includes(HEAD_END) || !isHttp) done();
      });
    });
  }
}
