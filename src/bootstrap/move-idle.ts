import type { Server as HttpServer } from 'node:http';
import type { Server, Socket } from 'node:net';
import type { Moves } from '../protocol/ipc.ts';
import { type HttpSocket, isHttp } from './connections.ts';

/**
 * Between two requests, a connection of plain HTTP/1 has no state in the process that serves it, but for what the app
 * itself keeps: so its raw handle can go to another worker. This file tells which ones may, takes them out of their
 * sockets, and brings them in where they arrive. It stands on parts of Node that have no documentation (docs/sockets.md):
 * where one of them is missing, nothing moves.
 */

/** Node's TCP and Pipe wraps. */
export interface RawClient {
  readonly fd?: number;
  readonly writeQueueSize?: number;
  readonly bytesRead?: number;
  _consumed?: boolean;
  reading?: boolean;
  readStop?: () => number;
  close: (callback?: () => void) => void;
}

interface Parser {
  _consumed?: boolean;
  readonly incoming: unknown;
  readonly unconsume?: () => void;
  readonly execute?: (data: Buffer) => unknown;
  [callback: number]: unknown;
}

/** What Node hangs on a connection of an HTTP server. */
type Inner = Omit<HttpSocket, 'parser'> & {
  _handle?: RawClient | null;
  readonly parser?: Parser | null;
  /** The server that has accepted it. */
  readonly _server?: Server;
  readonly timeout?: number;
};

/** Of an HTTP server: its parsers. `active`: those in a message, or before their first one. */
interface ConnectionsList {
  readonly idle?: () => Parser[];
  readonly active?: () => Parser[];
}

export interface Idle {
  readonly socket: HttpSocket;
  readonly server: Server;
  readonly moves: Moves;
}

/** An HTTP server ends an idle connection this much later than it tells its clients; newer versions of Node tell. */
const BUFFER_MS = 1000;
/** One that the app keeps for itself may be let go of later, but not every moment. */
const LOOK_AGAIN_MS = 250;
const LONGEST_TIMER_MS = 2 ** 31 - 1;
/** Of a socket's own keys, those that Node adds when they are first needed. */
const ADDED_BY_USE: ReadonlySet<PropertyKey> = new Set(['_httpMessage', 'timeout', '_peername', '_sockname']);
const CALLBACKS = ['MessageBegin', 'Headers', 'HeadersComplete', 'Body', 'MessageComplete', 'Execute', 'Timeout'];

/** When those that are the app's own are looked at again: with thousands of them, a look takes its time. */
const lookAgainAt = new WeakMap<Socket, number>();
/** What had been read of those that were brought in: until more comes, nothing was asked here. */
const readBefore = new WeakMap<Socket, number>();

/**
 * Which connections may go to another worker in this very turn of the event loop.
 * @param isLeft whether a server's address is served by other workers.
 */
export function idleAmong(sockets: readonly HttpSocket[], isLeft: (server: Server) => boolean, most: number): Idle[] {
  const atRest = new Map<Server, ReadonlySet<Parser>>();
  const found: Idle[] = [];
  for (const socket of sockets) {
    if (found.length >= most) break;
    const { _server: server, parser } = socket as Inner;
    if (!server || !parser || !isLeft(server)) continue;
    if (!isPlainHttp(server) || !isUnwatched(server)) continue;
    const parsers = atRest.get(server) ?? parsersAtRest(server);
    if (!parsers) continue;
    atRest.set(server, parsers);
    const moves = mayMove(socket, server, parsers.has(parser));
    if (moves) found.push({ socket, server, moves });
  }
  return found;
}

/** Whether its connections can be told from those that came to be here: not so with TLS, or with no HTTP at all. */
export function isPlainHttp(server: Server): server is HttpServer {
  return isHttp(server) && !('setSecureContext' in server);
}

/** To its server the connection has ended; its handle, which nobody reads, goes on. */
export function takeOut(socket: HttpSocket): RawClient | null {
  const inner = socket as Inner;
  const { _handle: handle, parser } = inner;
  if (!handle || !parser) return null;
  const { bytesRead, bytesWritten } = socket;
  handle.readStop?.();
  // Else who gets it back would not begin to read.
  handle.reading = false;
  if (parser._consumed) parser.unconsume?.();
  parser._consumed = false;
  handle._consumed = false;
  inner._handle = null;
  // Who asks later is told what it was, as of any connection that has ended.
  for (const [name, value] of Object.entries({ bytesRead, bytesWritten }))
    Object.defineProperty(socket, name, { value });
  socket.destroy();
  return handle;
}

/** An idle connection has arrived: as after an answer, it has keepAliveTimeout until its next request. */
export function bringIn(server: Server, socket: Socket): void {
  const { parser } = socket as Inner;
  if (!isPlainHttp(server) || !parser) return;
  asAfterARequest(parser);
  readBefore.set(socket, socket.bytesRead);
  const limitMs = keepAliveMs(server);
  if (limitMs === 0) return;
  const end = (): void => {
    if (readBefore.get(socket) === socket.bytesRead) socket.destroy();
  };
  // An immediate comes after what has just been sent was read.
  setTimeout(() => setImmediate(end), Math.min(limitMs, LONGEST_TIMER_MS)).unref();
}

/**
 * A parser counts the time to the end of its first request from when it is made, and closes with a 408. One that has had
 * a request before it waits in peace: so it gets one, of which nobody hears.
 */
function asAfterARequest(parser: Parser): void {
  const constants = parser.constructor as unknown as Readonly<Record<string, number>>;
  const indexes = CALLBACKS.map((name) => constants[`kOn${name}`] ?? -1);
  if (!parser.execute || indexes.includes(-1)) return;
  const callbacks = indexes.map((index) => parser[index]);
  for (const index of indexes) parser[index] = undefined;
  parser.execute(Buffer.from('GET / HTTP/1.1\r\n\r\n'));
  for (const [at, index] of indexes.entries()) parser[index] = callbacks[at];
}

function mayMove(socket: Inner, server: HttpServer, atRest: boolean): Moves | null {
  const { _handle: handle, parser } = socket;
  if (!handle || !parser || !isRaw(handle) || typeof handle.readStop !== 'function') return null;
  if (typeof parser.unconsume !== 'function' || !parser._consumed) return null;
  if (socket.destroyed || !socket.readable || !socket.writable || socket.connecting) return null;
  if (socket._httpMessage || parser.incoming || socket.writableLength > 0 || handle.writeQueueSize !== 0) return null;
  const { bytesRead } = handle;
  const moves = atRest ? 'idle' : bytesRead === 0 ? 'fresh' : null;
  const now = performance.now();
  if (moves === null || now < (lookAgainAt.get(socket) ?? 0)) return null;
  if (!isUntouched(socket)) {
    lookAgainAt.set(socket, now + LOOK_AGAIN_MS);
    return null;
  }
  const asked = moves === 'idle' && readBefore.get(socket) !== bytesRead;
  const limitMs = (asked ? keepAliveMs(server) : 0) || server.timeout || 0;
  return (socket.timeout ?? 0) === limitMs ? moves : null;
}

/** Whose last message is complete, and of whose next one not a byte has come. */
function parsersAtRest(server: Server): ReadonlySet<Parser> | null {
  const symbol = Object.getOwnPropertySymbols(server).find(
    ({ description }) => description === 'http.server.connections',
  );
  const list = symbol && (server as unknown as Readonly<Record<symbol, ConnectionsList | undefined>>)[symbol];
  if (!list?.idle || !list.active) return null;
  const active = new Set(list.active());
  return new Set(list.idle().filter((parser) => !active.has(parser)));
}

function isRaw(handle: RawClient): boolean {
  return ['TCP', 'Pipe'].includes(handle.constructor.name);
}

/** An app that listens to 'connection' knows its connections one by one: they are its own. */
function isUnwatched(server: Server): boolean {
  const { connection } = untouched();
  const listeners = server.listeners('connection');
  return listeners.length === 1 && listeners[0] === connection;
}

/** The app has put nothing on it, and hears nothing of it. */
function isUntouched(socket: Inner): boolean {
  const { keys, listeners } = untouched();
  const { _events: events } = socket as unknown as { readonly _events: Readonly<Record<string, unknown>> };
  return (
    Reflect.ownKeys(socket).every((key) => keys.has(key) || ADDED_BY_USE.has(key)) &&
    Reflect.ownKeys(events).every((event) => socket.listenerCount(event as string) <= (listeners.get(event) ?? 0))
  );
}

interface Untouched {
  readonly connection: unknown;
  readonly keys: ReadonlySet<PropertyKey>;
  readonly listeners: ReadonlyMap<PropertyKey, number>;
}

let memo: Untouched | null = null;

/** What Node itself puts on a socket, and hears of it: seen on one that no app has had. */
function untouched(): Untouched {
  if (memo) return memo;
  const { Server: PlainServer } = require('node:http') as typeof import('node:http');
  const { Socket: NetSocket } = require('node:net') as typeof import('node:net');
  const server = new PlainServer();
  const socket = new NetSocket();
  server.emit('connection', socket);
  memo = {
    connection: server.listeners('connection')[0],
    keys: new Set(Reflect.ownKeys(socket)),
    listeners: new Map(socket.eventNames().map((event) => [event, socket.listenerCount(event)])),
  };
  socket.destroy();
  return memo;
}

/** From the end of an answer to the end of its connection; 0 for ever. */
function keepAliveMs(server: HttpServer): number {
  const { keepAliveTimeout, keepAliveTimeoutBuffer = BUFFER_MS } = server as HttpServer & {
    readonly keepAliveTimeoutBuffer?: number;
  };
  return keepAliveTimeout > 0 ? keepAliveTimeout + keepAliveTimeoutBuffer : 0;
}
