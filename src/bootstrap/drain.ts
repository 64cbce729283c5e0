import type { ServerResponse } from 'node:http';
import type { ServerHttp2Session } from 'node:http2';
import type { Server, Socket } from 'node:net';
import type { DrainOrder } from '../protocol/ipc.ts';
import { type Connections, type HttpSocket, isHttp } from './connections.ts';

/**
 * Lets an app finish what it has begun, after its sockets were given back. HTTP/1 clients are told by `Connection: close`
 * in their next answer, HTTP/2 clients by GOAWAY, WebSockets by a close frame; event streams are ended. What just lies
 * there idle goes to another worker, or ends by the server's own keepAliveTimeout, as it would on any day, so that no
 * request crosses its end.
 * docs/drain.md explains it.
 */

const LOOK_MS = 20;
/** As long as the last one that moved has done so within this time, others may follow. */
const MOVING_MS = 2000;
/** An HTTP/2 client that answers no ping is told after this long which stream was its last. */
const GOAWAY_MS = 5000;
/** Between two streams that are told to go, or less where they are many. */
const TELL_GAP_MS = 20;
/** Once the app has its say, its streams are told within this time: it may take them with it soon. */
const SAY_STAGGER_MS = 500;
/** A close frame with code 1001, going away. */
const GOING_AWAY: readonly number[] = [0x88, 0x02, 0x03, 0xe9];
const LAST_STREAM = 2 ** 31 - 1;

export interface DrainEvents {
  /** Nothing is left but WebSockets and event streams, which have been told. */
  readonly onlyStreams: () => void;
  /** Nothing is left, or the time is over, or what is left is the app's own to end. */
  readonly done: () => void;
}

/** Gives connections to other workers. */
export interface Mover {
  /** @param arrived is called when none is on its way any more. */
  readonly moveIdle: (sockets: readonly HttpSocket[], arrived: () => void) => void;
  /** How many are on their way. */
  readonly moving: () => number;
  /** How many have arrived. */
  readonly moved: () => number;
}

export class Drain {
  readonly #connections: Connections;
  readonly #order: DrainOrder;
  readonly #appHasSay: boolean;
  readonly #mover: Mover;
  readonly #events: DrainEvents;
  /** What was read of a connection when it was last looked at. */
  readonly #bytes = new WeakMap<Socket, number>();
  readonly #told = new WeakSet<object>();
  /** When HTTP/2 sessions may be closed: once what their clients asked before they knew has come. */
  readonly #closeAt = new WeakMap<ServerHttp2Session, number>();
  readonly #startedAt = performance.now();
  #lingerUntil: number;
  #expectedAt = this.#startedAt;
  #timer: NodeJS.Timeout | null = null;
  #saidOnlyStreams = false;
  #moved = 0;
  #done = false;

  constructor(connections: Connections, order: DrainOrder, appHasSay: boolean, mover: Mover, events: DrainEvents) {
    this.#connections = connections;
    this.#mover = mover;
    this.#order = order;
    this.#appHasSay = appHasSay;
    this.#events = events;
    this.#lingerUntil = this.#startedAt + this.#linger();
  }

  begin(): void {
    closeAfterAnswers(this.#connections.servers);
    this.#tellSessions(this.#startedAt);
    const lookSoon = (): void => this.#lookSoon();
    this.#timer = setInterval(lookSoon, LOOK_MS);
    lookSoon();
  }

  /** Waits no longer. */
  end(): void {
    if (this.#done) return;
    this.#done = true;
    if (this.#timer) clearInterval(this.#timer);
    if (this.#appHasSay) this.#tellStreams(SAY_STAGGER_MS);
    this.#events.done();
  }

  /** Idle connections are left to their server's own timeout, within the limit that was ordered. */
  #linger(): number {
    const timeouts = [...this.#connections.servers].map((server) => (isHttp(server) ? server.keepAliveTimeout : 0));
    // 0 keeps them for ever.
    const longest = timeouts.includes(0) ? this.#order.lingerMs : Math.max(0, ...timeouts);
    return Math.min(longest, this.#order.lingerMs);
  }

  /** An immediate comes after what the sockets have to say, a timer before it. */
  #lookSoon(): void {
    setImmediate(() => void this.#look());
  }

  async #look(): Promise<void> {
    if (this.#done) return;
    const now = performance.now();
    if (this.#order.move) this.#mover.moveIdle(this.#connections.sockets(), () => this.#lookSoon());
    // The process stood still: requests may be waiting that it has not read.
    if (now - this.#expectedAt > LOOK_MS * 5) this.#lingerUntil = Math.max(this.#lingerUntil, now + LOOK_MS * 10);
    this.#expectedAt = now + LOOK_MS;
    // Where there are thousands, or the machine has much to do, they take their time.
    if (this.#mover.moved() > this.#moved) this.#lingerUntil = Math.max(this.#lingerUntil, now + MOVING_MS);
    this.#moved = this.#mover.moved();
    if (now > this.#lingerUntil) this.#closeIdle();
    this.#tellSessions(now);
    const streams = this.#connections.webSockets.size + this.#connections.eventStreams().length;
    const others = this.#mover.moving() + (await this.#connections.count()) - streams;
    if (!this.#appHasSay) this.#tellStreams(this.#order.staggerMs);
    if (this.#done || others > 0) return;
    if (streams === 0 || this.#appHasSay) return this.end();
    if (this.#saidOnlyStreams) return;
    this.#saidOnlyStreams = true;
    this.#events.onlyStreams();
  }

  #closeIdle(): void {
    for (const server of this.#connections.servers) if (isHttp(server)) server.closeIdleConnections();
    // To Node a connection on which nothing was ever asked is not idle.
    for (const socket of this.#connections.sockets()) {
      if (!socket.parser || socket._httpMessage || socket.parser.incoming) continue;
      if (this.#bytes.get(socket) === socket.bytesRead) socket.destroy();
      else this.#bytes.set(socket, socket.bytesRead);
    }
  }

  /** A session may begin as late as this: its connection was accepted before. */
  #tellSessions(now: number): void {
    for (const session of this.#connections.sessions) {
      if (session.closed || session.destroyed) continue;
      const closeAt = this.#closeAt.get(session);
      if (closeAt === undefined) {
        this.#closeAt.set(session, now + Math.min(GOAWAY_MS, this.#order.lingerMs));
        session.goaway(0, LAST_STREAM);
        // The answer comes after all that the client asked before it knew, save what leaves in one go with it.
        session.ping(() => this.#closeAt.set(session, performance.now() + LOOK_MS));
      } else if (now > closeAt) {
        session.close();
      }
    }
  }

  /** Tells those that were not told yet, one after the other, so that their clients do not come back all at once. */
  #tellStreams(withinMs: number): void {
    const tell: (() => void)[] = [];
    for (const socket of this.#connections.webSockets) {
      if (this.#isNew(socket)) tell.push(() => socket.writable && socket.write(Buffer.from(GOING_AWAY)));
    }
    for (const response of this.#connections.eventStreams()) {
      if (this.#isNew(response)) tell.push(() => endStream(response));
    }
    const gapMs = Math.min(TELL_GAP_MS, withinMs / tell.length);
    for (const [index, go] of tell.entries()) setTimeout(go, gapMs * index).unref();
  }

  #isNew(stream: object): boolean {
    const isNew = !this.#told.has(stream);
    this.#told.add(stream);
    return isNew;
  }
}

/** Ends an event stream where one event ends, and its connection with it. */
function endStream(response: ServerResponse): void {
  if (response.writableEnded) return;
  // The app does not know that it has ended: what it still writes is lost, but no error that nobody handles.
  response.on('error', () => {});
  (response as ServerResponse & { _last: boolean })._last = true;
  response.end();
}

type StoreHeader = (this: ServerResponse, firstLine: string, headers: unknown) => unknown;

/** From now on each answer, also to a request that is in flight, carries `Connection: close`. */
function closeAfterAnswers(servers: Iterable<Server>): void {
  const { ServerResponse: Response } = require('node:http') as typeof import('node:http');
  const prototype = Response.prototype as ServerResponse & { _storeHeader: StoreHeader };
  const storeHeader = prototype._storeHeader;
  prototype._storeHeader = function (firstLine, headers) {
    if (!isLastAsked(this)) return storeHeader.call(this, firstLine, headers);
    this.shouldKeepAlive = false;
    return storeHeader.call(this, firstLine, withoutConnection(headers));
  };
  for (const server of servers) if (isHttp(server)) answerNextTurn(server);
}

/**
 * Requests that came in one piece, as a client that pipelines sends them, are parsed and handled one after the other.
 * Handled a turn later, the first is answered when it is known that others follow it.
 */
function answerNextTurn(server: Server): void {
  const emit = server.emit.bind(server) as (event: string | symbol, ...args: unknown[]) => boolean;
  server.emit = (event: string | symbol, ...args: unknown[]): boolean => {
    if (event !== 'request') return emit(event, ...args);
    setImmediate(() => emit(event, ...args));
    return true;
  };
}

/**
 * Node closes a connection after an answer that says so, whatever else was asked on it: so only the last one may. Nor
 * one to a request that is still being sent: its client would find the connection reset before it reads the answer.
 */
function isLastAsked({ req }: ServerResponse): boolean {
  const latest = (req.socket as HttpSocket | null)?.parser?.incoming;
  return req.complete && (!latest || latest === req);
}

/** The app's own `Connection: keep-alive` would win. Headers come in all the forms that writeHead() takes. */
function withoutConnection(headers: unknown): unknown {
  const isConnection = (name: unknown): boolean => String(name).toLowerCase() === 'connection';
  if (Array.isArray(headers)) {
    if (Array.isArray(headers[0])) return headers.filter(([name]: unknown[]) => !isConnection(name));
    return headers.filter((_, index) => !isConnection(headers[index - (index % 2)]));
  }
  if (typeof headers !== 'object' || headers === null || !Object.keys(headers).some(isConnection)) return headers;
  const kept: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
  for (const [name, value] of Object.entries(headers)) if (!isConnection(name)) kept[name] = value;
  return kept;
}
