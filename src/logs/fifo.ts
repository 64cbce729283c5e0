import { execFileSync } from 'node:child_process';
import {
  closeSync,
  constants,
  existsSync,
  fchmodSync,
  fstatSync,
  openSync,
  readdirSync,
  readSync,
  statSync,
} from 'node:fs';
import { type ConnectOpts, Socket, type SocketConstructorOpts } from 'node:net';
import { basename, dirname, join } from 'node:path';
import { heldPipes } from '../protocol/marks.ts';
import { removeQuietly } from '../protocol/remove-quietly.ts';

/** One read takes at most what a pipe holds. All readers share the buffer: each chunk is used up before the next read. */
const CHUNK_BYTES = 64 * 1024;
const chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES);
/** How much is read at once from a pipe that others may still be writing to. */
const DRAIN_BYTES = 16 * CHUNK_BYTES;

const NEWLINE = 10;
const STICKY = 0o1000;
/**
 * A reader that is killed as it reads has not noted how that ended. Where a chunk of late ended within a line, or none has
 * come for a while, the next one is presumed to end so too, or not.
 */
const WARY_CHUNKS = 64;
const SETTLED_MS = 100;

/** Of one instance: stdin, stdout and stderr. So many are kept ready. */
export const PIPES_OF_ONE = 3;
const RESTOCK_MS = 200;

/** Makes named pipes in a folder, many at once, as each call starts a program. */
export class FifoMaker {
  readonly #folder: string;
  readonly #prefix: string;
  #ready: string[] = [];
  #next = 0;
  #restocking = false;

  constructor(folder: string, prefix: string) {
    this.#folder = folder;
    this.#prefix = prefix;
    // Pipes of the supervisor before may still be written to.
    const numbers = [...this.left(), ...this.held()].map((path) => Number(/\.(\d+)\.fifo$/.exec(path)?.[1]));
    this.#next = 1 + Math.max(-1, ...numbers);
  }

  /** All that stand in the folder, from other supervisors too. */
  left(): string[] {
    return readdirSync(this.#folder)
      .filter((entry) => this.#isOwn(entry))
      .map((entry) => join(this.#folder, entry));
  }

  /** Those that processes write to, though their names may be gone. */
  held(): string[] {
    return heldPipes(this.#folder)
      .map(({ path }) => path)
      .filter((path) => this.#isOwn(basename(path)));
  }

  #isOwn(entry: string): boolean {
    return entry.startsWith(`${this.#prefix}.`) && /^\w+\.\d+\.fifo$/.test(entry);
  }

  reserve(count: number): void {
    // Somebody may have removed those that were ready.
    this.#ready = this.#ready.filter((path) => existsSync(path));
    const missing = count - this.#ready.length;
    if (missing <= 0) return;
    const paths = Array.from({ length: missing }, () => join(this.#folder, `${this.#prefix}.${this.#next++}.fifo`));
    make(paths);
    this.#ready.push(...paths);
  }

  /** So whoever has it does not depend on another at the other end: no write fails, and no read comes to an end. */
  open(path: string): number {
    if (!existsSync(path)) make([path]);
    return openSync(path, constants.O_RDWR);
  }

  take(): string {
    this.reserve(1);
    this.#restock();
    return this.#ready.shift() as string;
  }

  close(): void {
    removeQuietly(...this.#ready.splice(0));
  }

  /** Later, when nobody waits: so that the next start finds its pipes made. */
  #restock(): void {
    if (this.#restocking) return;
    this.#restocking = true;
    setTimeout(() => {
      this.#restocking = false;
      try {
        this.reserve(PIPES_OF_ONE);
      } catch {
        // The start that needs them will tell.
      }
    }, RESTOCK_MS).unref();
  }
}

/**
 * The reading end of a log pipe. It holds the pipe open for writing too, so it never ends: neither the app nor its
 * children ever get EPIPE, and a pipe serves all the runs of an instance.
 */
export class FifoReader {
  readonly path: string;
  readonly #fd: number;
  readonly #socket: Socket;
  readonly #onChunk: (chunk: Buffer) => void;
  #marked: boolean;
  /** Chunks since one that ended within a line. */
  #sinceCut: number;
  #chunks = 0;
  #settling: NodeJS.Timeout | null = null;

  /** @param onChunk gets bytes that are only valid during the call. */
  constructor(path: string, onChunk: (chunk: Buffer) => void) {
    this.path = path;
    this.#onChunk = (bytes) => {
      this.#noteEnd(bytes[bytes.length - 1] === NEWLINE);
      onChunk(bytes);
    };
    this.#fd = openPipe(path);
    this.#marked = (fstatSync(this.#fd).mode & STICKY) !== 0;
    this.#sinceCut = this.#marked ? 0 : WARY_CHUNKS;
    const callback = (bytes: number): boolean => {
      this.#onChunk(chunk.subarray(0, bytes));
      return true;
    };
    // The types know `onread` only for connect(), where it is documented.
    const options: SocketConstructorOpts & Pick<ConnectOpts, 'onread'> = {
      fd: this.#fd,
      readable: true,
      writable: false,
      onread: { buffer: chunk, callback },
    };
    this.#socket = new Socket(options);
    this.#socket.on('error', () => {});
    // A socket with `onread` starts to read when it is asked for data.
    this.#socket.resume();
  }

  /** A descriptor for a writer. Read-write, as a writer without a reader would fail. The caller closes it. */
  openWriter(): number {
    // Its name may be gone: then where it is open leads to it.
    return openSync(isSameFile(this.path, this.#fd) ? this.path : `/proc/self/fd/${this.#fd}`, constants.O_RDWR);
  }

  /** Reads now what is in the pipe. */
  drain(): void {
    for (let total = 0; total < DRAIN_BYTES; ) {
      let bytes: number;
      try {
        bytes = readSync(this.#fd, chunk, 0, CHUNK_BYTES, null);
      } catch {
        // EAGAIN: it is empty.
        return;
      }
      if (bytes === 0) return;
      total += bytes;
      this.#onChunk(chunk.subarray(0, bytes));
    }
  }

  /** Whether the last reader may have read up to the middle of a line. */
  get isMarked(): boolean {
    return this.#marked;
  }

  /** The writer has ended, and so has its last line. */
  endLine(): void {
    this.#sinceCut = WARY_CHUNKS;
    this.#mark(false);
  }

  #noteEnd(isLineEnd: boolean): void {
    this.#chunks++;
    this.#sinceCut = isLineEnd ? Math.min(this.#sinceCut + 1, WARY_CHUNKS) : 0;
    this.#mark(this.#sinceCut < WARY_CHUNKS);
    if (this.#marked && isLineEnd) this.#settle(this.#chunks);
  }

  /** In a while, should nothing have come since. */
  #settle(since: number): void {
    this.#settling ??= setTimeout(() => {
      this.#settling = null;
      if (this.#sinceCut === 0) return;
      if (this.#chunks === since) this.endLine();
      else this.#settle(this.#chunks);
    }, SETTLED_MS).unref();
  }

  /** Keeps this in the pipe's own mode, where it outlives this process. */
  #mark(marked: boolean): void {
    if (marked === this.#marked) return;
    this.#marked = marked;
    try {
      fchmodSync(this.#fd, marked ? STICKY | 0o600 : 0o600);
    } catch {
      // Not every system lets one: a line that was cut is not known as such then.
    }
  }

  /** Leaves the pipe to another reader. */
  leave(): void {
    if (this.#settling) clearTimeout(this.#settling);
    this.#socket.destroy();
  }

  close(): void {
    this.leave();
    removeQuietly(this.path);
  }
}

function make(paths: readonly string[]): void {
  removeQuietly(...paths);
  execFileSync('mkfifo', ['-m', '600', ...paths], {
    env: { PATH: '/usr/bin:/bin:/usr/local/bin' },
    stdio: ['ignore', 'ignore', 'pipe'],
    timeout: 10_000,
  });
}

/** @throws Error where it is gone, and no process has it open. */
function openPipe(path: string): number {
  const flags = constants.O_RDWR | constants.O_NONBLOCK;
  try {
    return openSync(path, flags);
  } catch (error) {
    const held = heldPipes(dirname(path)).find((pipe) => pipe.path === path);
    if (held === undefined) throw error;
    return openSync(held.held, flags);
  }
}

function isSameFile(path: string, fd: number): boolean {
  const [named, open] = [statSync(path, { throwIfNoEntry: false }), fstatSync(fd)];
  return named?.ino === open.ino && named.dev === open.dev;
}

/** Closes a descriptor that may be closed already. */
export function closeQuietly(fd: number): void {
  try {
    closeSync(fd);
  } catch {
    // Closed already: nothing is held.
  }
}
