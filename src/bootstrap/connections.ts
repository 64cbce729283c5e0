import type { Server as HttpServer, IncomingMessage, ServerResponse } from 'node:http';
import type { ServerHttp2Session } from 'node:http2';
import type { Server, Socket } from 'node:net';

/** Ended connections are swept out when there are twice as many as were left the last time, and at least this many. */
const SWEEP_AT = 256;
const EVENT_STREAM = /^content-type: *text\/event-stream/im;

/** A connection of an HTTP server, with what Node hangs on it. */
export interface HttpSocket extends Socket {
  readonly parser?: { readonly incoming: IncomingMessage | null } | null;
  readonly _httpMessage?: (ServerResponse & { readonly _header: string | null }) | null;
}

/** Knows the servers of the app and their connections, at next to no cost while nothing is asked of it. */
export class Connections {
  readonly servers = new Set<Server>();
  readonly sessions = new Set<ServerHttp2Session>();
  readonly webSockets = new Set<Socket>();
  readonly #sockets = new Set<HttpSocket>();
  #sweepAt = SWEEP_AT;

  add(socket: Socket): void {
    this.#sockets.add(socket);
    if (this.#sockets.size >= this.#sweepAt) this.#sweep();
  }

  addServer(server: Server): void {
    this.servers.add(server);
    server.once('close', () => this.servers.delete(server));
    server.on('secureConnection', (socket: Socket) => this.add(socket));
    server.on('session', (session: ServerHttp2Session) => {
      this.sessions.add(session);
      session.once('close', () => this.sessions.delete(session));
    });
    if (isHttp(server)) this.#watchUpgrades(server);
  }

  /** All that are open; of TLS both the connection and what runs through it. */
  sockets(): readonly HttpSocket[] {
    this.#sweep();
    return [...this.#sockets];
  }

  eventStreams(): readonly ServerResponse[] {
    return this.sockets().flatMap(({ _httpMessage: response }) =>
      response && !response.writableEnded && EVENT_STREAM.test(response._header ?? '') ? response : [],
    );
  }

  /** How many connections the servers have. */
  async count(): Promise<number> {
    const counts = await Promise.all(
      [...this.servers].map(
        (server) =>
          new Promise<number>((resolve) => server.getConnections((error, count) => resolve(error ? 0 : count))),
      ),
    );
    return counts.reduce((sum, count) => sum + count, 0);
  }

  #sweep(): void {
    for (const socket of this.#sockets) if (socket.destroyed) this.#sockets.delete(socket);
    this.#sweepAt = Math.max(SWEEP_AT, this.#sockets.size * 2);
  }

  /** Only where the app itself upgrades: a server without a listener for it answers as if nothing had been asked. */
  #watchUpgrades(server: Server): void {
    const note = (request: IncomingMessage, socket: Socket): void => {
      if (!/\bwebsocket\b/i.test(request.headers.upgrade ?? '')) return;
      this.webSockets.add(socket);
      socket.once('close', () => this.webSockets.delete(socket));
    };
    const adjust = (): void => {
      const own = server.listeners('upgrade').includes(note);
      const others = server.listenerCount('upgrade') - (own ? 1 : 0);
      if (others > 0 && !own) server.prependListener('upgrade', note);
      if (others === 0 && own) server.off('upgrade', note);
    };
    const later = (event: string | symbol, listener: unknown): void => {
      if (event === 'upgrade' && listener !== note) queueMicrotask(adjust);
    };
    server.on('newListener', later);
    server.on('removeListener', later);
    adjust();
  }
}

/** http and https alike, which have no class in common but that of net. */
export function isHttp(server: Server): server is HttpServer {
  return 'closeIdleConnections' in server;
}
