import type { ListenOptions, Server } from 'node:net';
import * as own from './own.ts';

type Step = 'asyncStart' | 'asyncEnd' | 'error';

interface Told {
  readonly address: string;
  /** It was left to the system which port. */
  readonly anyPort: boolean;
}

interface Hearers {
  /** It may be used, though nothing is said of it yet. */
  readonly opened: (server: Server) => void;
  readonly listening: (told: Told) => void;
  readonly closed: (address: string) => void;
  readonly failed: (error: unknown) => void;
  /** No listen() is pending, after one was. */
  readonly quiet: () => void;
}

/**
 * Where the app listens, once no listen() of it is pending: a server that looks for a free port, closes it and lets
 * another one listen is not one that listens; nor is one whose failure the app has handled.
 */
export class Listens {
  readonly #hearers: Hearers;
  readonly #known = new WeakSet<Server>();
  readonly #pending = new Set<Server>();
  /** Those whose port is the system's choice. */
  readonly #anyPort = new WeakSet<Server>();
  readonly #open = new Set<Server>();
  readonly #told = new Map<Server, Told>();
  #looking = false;

  constructor(hearers: Hearers) {
    this.#hearers = hearers;
    this.#on('asyncStart', (server, options) => {
      this.#pending.add(server);
      if (leavesPort(options)) this.#anyPort.add(server);
      else this.#anyPort.delete(server);
      this.#know(server);
    });
    // In a worker of a cluster Node does not tell of a failure by this.
    this.#on('error', (server) => this.#ended(server));
    this.#on('asyncEnd', (server) => {
      this.#open.add(server);
      hearers.opened(server);
      this.#ended(server);
    });
  }

  /** A listen() is under way, or what has come of it is not told yet. */
  get pending(): boolean {
    return this.#pending.size > 0 || this.#looking;
  }

  /** What has been told, and holds. */
  get told(): readonly Told[] {
    return [...this.#told.values()];
  }

  #on(step: Step, handler: (server: Server, options: ListenOptions | undefined) => void): void {
    const diagnostics = require('node:diagnostics_channel') as typeof import('node:diagnostics_channel');
    diagnostics.subscribe(`tracing:net.server.listen:${step}`, (message) => {
      const { server, options } = message as { server: Server; options?: ListenOptions };
      handler(server, options);
    });
  }

  /** Once for each server, however often it tries. */
  #know(server: Server): void {
    if (this.#known.has(server)) return;
    this.#known.add(server);
    const { errorMonitor } = require('node:events') as typeof import('node:events');
    (server as NodeJS.EventEmitter).on(errorMonitor, (error: NodeJS.ErrnoException) => {
      // What the app hears as a callback's argument, and ends because of, nobody else would tell.
      if (error.syscall === 'listen' || error.syscall === 'bind') this.#hearers.failed(error);
      this.#ended(server);
    });
    server.on('close', () => {
      this.#open.delete(server);
      const told = this.#told.get(server);
      if (told && this.#told.delete(server)) this.#hearers.closed(told.address);
      this.#ended(server);
    });
  }

  #ended(server: Server): void {
    if (!this.#pending.delete(server) || this.#looking) return;
    this.#looking = true;
    // Not before the app has heard of it, and an error that nobody handles has ended the process.
    own.setImmediate(() => this.#look());
  }

  #look(): void {
    this.#looking = false;
    if (this.pending) return;
    for (const server of this.#open) {
      this.#open.delete(server);
      // Closed, though 'close' comes later.
      if (!server.listening) continue;
      const told = { address: addressOf(server), anyPort: this.#anyPort.has(server) };
      this.#told.set(server, told);
      this.#hearers.listening(told);
    }
    this.#hearers.quiet();
  }
}

function leavesPort({ port, path, ...more }: Omit<ListenOptions, 'port'> & { port?: unknown } = {}): boolean {
  if (path !== undefined || 'fd' in more || 'handle' in more || '_handle' in more) return false;
  // A callback may stand in its place.
  return (typeof port !== 'number' && typeof port !== 'string') || Number(port) === 0;
}

function addressOf(server: Server): string {
  const address = server.address();
  if (address === null || typeof address === 'string') return address ?? 'a descriptor';
  return address.family === 'IPv6' ? `[${address.address}]:${address.port}` : `${address.address}:${address.port}`;
}
