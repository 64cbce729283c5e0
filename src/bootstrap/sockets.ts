import type { Server, Socket } from 'node:net';
import { ASK_AFTER_MS, type FromSockets, type Moves, type SocketQuery, type ToSockets } from '../protocol/ipc.ts';
import type { HttpSocket } from './connections.ts';
import type { Mover } from './drain.ts';
import { bringIn, idleAmong, isPlainHttp, takeOut } from './move-idle.ts';
import { markSessions } from './session-mark.ts';
import { ticketKeys } from './ticket-keys.ts';

/**
 * The worker's side of sockets that the supervisor holds: server.listen() is given such a socket instead of one of its
 * own, and a worker that has more than its share of the connections passes new ones on. docs/sockets.md explains it.
 */

/** A worker tells its load this often at most, and only when it changed; with brief connections, each BRIEF_MS. */
const TELL_MS = 10;
/** It may pass on one more each time this has passed: the supervisor must not become the way for all of them. */
const PASS_ON_MS = 2;
/** So many at once, as of a burst. */
const MOST_AT_ONCE = 16;
/** Connections that last less than this on average even out by themselves: passing them on costs more than it brings. */
const BRIEF_MS = 50;
/** How much more than its share a worker may have of them. */
const BRIEF_FACTOR = 2;
const BRIEF_SLACK = 8;
/** For this long a worker that has too many steps back, so that a sibling accepts the next one. */
const STEP_BACK_MS = 0.05;
/** What a supervisor that is gone had sent to a worker is read within this time. */
const ARRIVED_MS = 500;
/** Connections that a worker moves at the same time; the others are served meanwhile. */
const MOST_MOVING = 64;
/** One that nobody has taken, as when all others are busy, is offered again after this long, and twice as long, ... */
const OFFER_AGAIN_MS = 50;
const LONGEST_TIMER_MS = 2 ** 31 - 1;
const ECANCELED = -125;
const BACKLOG = 511;

type OnConnection = (this: Handle, status: number, client?: Handle) => void;

/** Node's TCP and Pipe wraps, or what stands for one where the supervisor accepts. */
interface Handle {
  readonly fd?: number;
  onconnection?: OnConnection | null;
  close: (callback?: () => void) => void;
  listen: (backlog: number) => number;
  ref?: () => void;
  unref?: () => void;
  getsockname?: (out: Record<string, unknown>) => number;
}

interface Shared {
  readonly key: string;
  readonly query: SocketQuery;
  readonly server: Server;
  readonly handle: Handle;
  /** What a supervisor needs to go on where another one was; the handle, unless the supervisor accepts. */
  held: Handle;
  /** Accepts from `held` while there is no supervisor to accept for it. */
  accepts: boolean;
  /** It is ready, and may have connections. */
  admitted: boolean;
  /** Other sockets that it accepts from: of workers that are gone, or where its path leads by now. */
  readonly more: Handle[];
  /** What Node itself does with a connection. */
  deliver: OnConnection | null;
  /** More open connections than this are passed on. */
  limit: number;
  told: number;
  /** Connections that have begun and that have ended since the last look, and when that was. */
  begun: number;
  ended: number;
  lookedAt: number;
  /** Until then they are brief. */
  briefUntil: number;
  /** How many may be passed on now, as of `creditAt`. */
  credit: number;
  creditAt: number;
  closed: boolean;
  /** Begins to accept, where that had to wait. */
  accept: (() => void) | null;
}

type Query = Omit<SocketQuery, 'index'> & { readonly fd?: number };
type GotHandle = (errno: number, handle: Handle | null) => void;
type GetServer = (server: object, query: Query, done: GotHandle) => void;

/** A listen() that is not answered yet. */
interface Request {
  readonly ask: () => void;
  readonly answer: (message: Extract<ToSockets, { kind: 'socket' }>, handle: unknown) => void;
}

export type SendToSupervisor = (body: FromSockets, handle?: unknown, sent?: () => void) => void;

/** A connection that was passed on, until it is known to have arrived: nobody reads from it. */
interface Passing {
  readonly entry: Shared;
  readonly client: Handle;
  readonly moves: Moves | null;
  /** How often nobody has taken it. */
  readonly refusals: number;
}

export interface WorkerSockets extends Mover {
  readonly handle: (message: ToSockets, handle: unknown) => void;
  /** Gives all sockets back. What is on its way to this worker still arrives and is served. */
  readonly stopListening: () => void;
  /** The supervisor is gone: it helps nobody, and answers nothing. */
  readonly alone: () => void;
  /** Hands a new supervisor what it needs to know and hold. */
  readonly announce: () => void;
}

export function shareSockets(send: SendToSupervisor): WorkerSockets {
  const cluster = require('node:cluster') as typeof import('node:cluster').default & { _getServer: GetServer };
  const { Server: NetServer } = require('node:net') as typeof import('node:net');
  const requests = new Map<number, Request>();
  const shared = new Map<string, Shared>();
  const passing = new Map<number, Passing>();
  let nextPass = 1;
  /** Whose sockets were given back, for a drain: their connections may go to other workers. */
  const left = new Map<Server, Shared>();
  /** Those that nobody has taken yet. */
  const kept = new WeakMap<Socket, { readonly refusals: number; readonly until: number }>();
  let allMoved = (): void => {};
  let movedCount = 0;
  const indexes = new Map<string, Set<number>>();
  const lock = new Int32Array(new SharedArrayBuffer(4));
  let nextRequest = 1;
  let telling: NodeJS.Timeout | null = null;
  let tellMs = TELL_MS;
  const tickets = ticketKeys(NetServer);
  /** The last that were told. */
  let keys: string | null = null;
  let draining = false;
  let marks = false;

  const nodesOwn = cluster._getServer;
  cluster._getServer = (server, query, done) => {
    // Datagrams as Node shares them; descriptors of the supervisor, which that refuses.
    const { fd } = query;
    if (!(server instanceof NetServer) || (typeof fd === 'number' && fd >= 0)) return nodesOwn(server, query, done);
    const name = [query.address, query.port, query.addressType].join(' ');
    const taken = indexes.get(name) ?? new Set<number>();
    indexes.set(name, taken);
    let index = 0;
    while (taken.has(index)) index++;
    taken.add(index);

    const { port, addressType, flags, backlog } = query;
    // Node leaves out, or sets to false, what was not asked for.
    const asked = {
      address: addressIn(query),
      port,
      addressType,
      flags: flags || 0,
      backlog: backlog || BACKLOG,
      index,
    };
    const request = nextRequest++;
    const ask = (): void => send({ kind: 'open-socket', request, ...asked });
    const answer: Request['answer'] = (message, raw) => {
      const { errno } = message;
      if (errno !== 0 || draining) {
        taken.delete(index);
        (raw as Handle | undefined)?.close();
        if (errno === 0) send({ kind: 'close-socket', socket: message.socket });
        return done(errno === 0 ? ECANCELED : errno, null);
      }
      const held = raw as Handle;
      const handle = message.accepts === 'worker' ? held : standIn(message.sockname, () => entry.held.close());
      const entry: Shared = {
        key: message.socket,
        query: asked,
        server,
        handle,
        held,
        accepts: false,
        admitted: !message.hold,
        more: [],
        deliver: null,
        limit: Number.POSITIVE_INFINITY,
        told: 0,
        begun: 0,
        ended: 0,
        lookedAt: 0,
        briefUntil: 0,
        credit: MOST_AT_ONCE,
        creditAt: 0,
        closed: false,
        accept: null,
      };
      if (message.hold) holdBack(entry);
      shared.set(entry.key, entry);
      const close = handle.close;
      handle.close = (...args) => {
        handle.close = close;
        taken.delete(index);
        leave(entry);
        close.apply(handle, args);
      };
      const { spare, mark } = message;
      takeKeys(message.ticketKeys, [server]);
      if (mark && !marks) {
        marks = true;
        markSessions(mark);
      }
      if (spare && asked.address) server.prependOnceListener('listening', () => linkAgain(spare, asked.address ?? ''));
      done(0, handle);
      // It listens now, and Node has set what it does with a connection; unless listening failed.
      entry.deliver = handle.onconnection ?? null;
      if (!entry.deliver) return entry.closed ? undefined : handle.close();
      if (message.shares) handle.onconnection = (status, client) => accept(entry, status, client);
      onConnectionEnd(server, () => {
        entry.ended++;
        tellSoon();
      });
      if (cluster.worker) (cluster.worker as unknown as { state: string }).state = 'listening';
    };
    requests.set(request, { ask, answer });
    ask();
  };

  const disconnect = cluster.worker?.disconnect;
  if (cluster.worker && disconnect) {
    cluster.worker.disconnect = function (this: typeof cluster.worker) {
      stopListening();
      return disconnect.call(this);
    };
  }

  function accept(entry: Shared, status: number, client: Handle | undefined): void {
    const open = openIn(entry);
    if (status !== 0 || !client || open <= entry.limit) return deliver(entry, status, client);
    if (open <= BRIEF_FACTOR * entry.limit + BRIEF_SLACK && performance.now() < entry.briefUntil)
      return deliver(entry, status, client);
    if (mayPassOn(entry)) return passOn({ entry, client, moves: null, refusals: 0 });
    deliver(entry, status, client);
    Atomics.wait(lock, 0, 0, STEP_BACK_MS);
  }

  function passOn(passed: Passing): void {
    const { entry, client, moves } = passed;
    const pass = nextPass++;
    passing.set(pass, passed);
    send({ kind: 'pass-on', socket: entry.key, open: openIn(entry), pass, moves }, client);
    setTimeout(() => {
      if (passing.has(pass)) send({ kind: 'ask-after', pass });
    }, ASK_AFTER_MS).unref();
  }

  function takeKeys(fresh: string | undefined, servers: Iterable<Server>): void {
    if (fresh === undefined) return;
    keys = fresh;
    for (const server of servers) tickets.apply(server, fresh);
  }

  /** Where the supervisor has accepted, which is gone. */
  function acceptAlone(entry: Shared): void {
    entry.accepts = true;
    entry.held.onconnection = (status, client) => deliver(entry, status, client);
    entry.held.listen(entry.query.backlog);
  }

  /** The supervisor accepts, from this socket. */
  function hold(entry: Shared | undefined, raw: Handle): void {
    if (!entry || entry.held === entry.handle) return raw.close();
    entry.held.close();
    entry.held = raw;
    entry.accepts = false;
  }

  /** @param instead nobody can reach those before any more. */
  function alsoAccept(entry: Shared | undefined, raw: Handle, instead: boolean): void {
    if (!entry) return raw.close();
    if (entry.held !== entry.handle) return hold(entry, raw);
    // They have connections that were not accepted yet.
    if (instead) for (const before of entry.more.splice(0)) setTimeout(() => before.close(), ARRIVED_MS);
    raw.onconnection = (status, client) => deliver(entry, status, client);
    entry.more.push(raw);
    if (entry.admitted) raw.listen(BACKLOG);
  }

  /** The supervisor is gone: those that no other worker has got are served here. */
  function takeBack(): void {
    for (const [pass, { entry, client, moves }] of passing) {
      passing.delete(pass);
      if (heldElsewhere(client)) client.close();
      else deliverPassed(entry, client, '', moves);
    }
    allMoved();
  }

  function moving(): number {
    return [...passing.values()].filter(({ moves }) => moves !== null).length;
  }

  function moveIdle(sockets: readonly HttpSocket[], arrived: () => void): void {
    if (!process.connected) return;
    allMoved = arrived;
    const now = performance.now();
    const due = sockets.filter((socket) => (kept.get(socket)?.until ?? 0) <= now);
    for (const { socket, server, moves } of idleAmong(due, (each) => left.has(each), MOST_MOVING - moving())) {
      const entry = left.get(server);
      const client = entry && (takeOut(socket) as Handle | null);
      if (!client) continue;
      passOn({ entry, client, moves, refusals: kept.get(socket)?.refusals ?? 0 });
    }
  }

  /** @param stays whether it stays here, as nobody else takes it. */
  function settle(pass: number, stays: boolean): void {
    const passed = passing.get(pass);
    if (!passed) return;
    passing.delete(pass);
    const { entry, client, moves } = passed;
    if (stays) {
      const refusals = passed.refusals + 1;
      const socket = deliverPassed(entry, client, '', moves);
      if (socket) kept.set(socket, { refusals, until: performance.now() + OFFER_AGAIN_MS * 2 ** refusals });
    } else {
      client.close();
      if (moves !== null) movedCount++;
    }
    if (moves !== null && moving() === 0) allMoved();
  }

  function deliver(entry: Shared, status: number, client: Handle | undefined): void {
    entry.deliver?.call(entry.handle, status, client);
    entry.begun++;
    tellSoon();
  }

  /**
   * Of a connection that somebody else has accepted.
   * @param head what was read of it, in base64.
   */
  function deliverPassed(entry: Shared, client: Handle, head: string, moves: Moves | null): Socket | null {
    let socket: Socket | null = null;
    const note = (accepted: Socket): void => {
      socket = accepted;
      if (head !== '') accepted.unshift(Buffer.from(head, 'base64'));
    };
    entry.server.prependOnceListener('connection', note);
    deliver(entry, 0, client);
    // Node may have closed it, as one too many.
    entry.server.off('connection', note);
    if (socket && moves === 'idle') bringIn(entry.server, socket);
    return socket;
  }

  function tellSoon(): void {
    telling ??= setTimeout(() => {
      telling = null;
      tellMs = TELL_MS;
      for (const entry of shared.values()) {
        const open = openIn(entry);
        if (areBrief(entry, open)) tellMs = BRIEF_MS;
        if (open !== entry.told) {
          entry.told = open;
          send({ kind: 'load', socket: entry.key, open });
        }
      }
    }, tellMs).unref();
  }

  function leave(entry: Shared): void {
    if (entry.closed) return;
    entry.closed = true;
    for (const handle of entry.more) handle.close();
    shared.delete(entry.key);
    send({ kind: 'close-socket', socket: entry.key });
  }

  function stopListening(): void {
    draining = true;
    for (const entry of shared.values()) {
      left.set(entry.server, entry);
      entry.handle.close();
    }
  }

  function take({ connection, socket, head, moves }: Extract<ToSockets, { kind: 'take' }>, client: Handle): void {
    const entry = shared.get(socket);
    if (!entry?.deliver || (moves && !welcomes(entry))) {
      client.close();
      return send({ kind: 'declined', connection });
    }
    deliverPassed(entry, client, head, moves ?? null);
    send({ kind: 'took', connection });
  }

  return {
    stopListening,
    moveIdle,
    moving,
    moved: () => movedCount,
    alone: () => {
      for (const entry of shared.values()) {
        entry.limit = Number.POSITIVE_INFINITY;
        if (entry.held !== entry.handle && entry.admitted) acceptAlone(entry);
      }
      // What was on its way to another worker has arrived by then.
      if (passing.size > 0) setTimeout(takeBack, ARRIVED_MS);
    },
    announce: () => {
      if (keys !== null) send({ kind: 'ticket-keys', keys });
      for (const entry of shared.values()) {
        entry.told = openIn(entry);
        const { key, query, told, accepts, held, more } = entry;
        // Of a unix socket, the one that its path leads to.
        const handle = (query.port < 0 && more.at(-1)) || held;
        send({ kind: 'have-socket', socket: key, open: told, accepts, ...query }, handle);
      }
      send({ kind: 'no-more-sockets' });
      for (const { ask } of requests.values()) ask();
    },
    handle: (message, handle) => {
      switch (message.kind) {
        case 'socket': {
          const request = requests.get(message.request);
          requests.delete(message.request);
          return request?.answer(message, handle);
        }
        case 'accept': {
          const entry = shared.get(message.socket);
          if (!entry) return;
          entry.admitted = true;
          for (const raw of entry.more) raw.listen(BACKLOG);
          return entry.accept?.();
        }
        case 'also-socket': {
          const raw = handle as Handle | undefined;
          if (raw) alsoAccept(shared.get(message.socket), raw, message.instead);
          return;
        }
        case 'ticket-keys':
          return takeKeys(message.keys, new Set([...shared.values()].map(({ server }) => server)));
        case 'hold': {
          const raw = handle as Handle | undefined;
          if (raw) hold(shared.get(message.socket), raw);
          return;
        }
        case 'mean': {
          const entry = shared.get(message.socket);
          if (entry) entry.limit = message.mean < 0 ? Number.POSITIVE_INFINITY : fairShare(message.mean);
          return;
        }
        case 'passed':
          return settle(message.pass, false);
        case 'kept':
          return settle(message.pass, true);
        case 'offer':
          return send({ kind: 'claim', connection: message.connection });
        case 'take':
          if (handle) take(message, handle as Handle);
          return;
        case 'ask-after':
          return send({ kind: 'declined', connection: message.connection });
      }
    },
  };
}

/**
 * Looks at what has passed since it was last called. By Little's law, connections last as long on average as it takes until
 * as many have come and gone as are open.
 */
function areBrief(entry: Shared, open: number): boolean {
  const now = performance.now();
  const brief = Math.min(entry.begun, entry.ended) * BRIEF_MS > open * (now - entry.lookedAt);
  if (brief) entry.briefUntil = now + 2 * BRIEF_MS;
  entry.begun = 0;
  entry.ended = 0;
  entry.lookedAt = now;
  return brief;
}

function mayPassOn(entry: Shared): boolean {
  const now = performance.now();
  const credit = Math.min(MOST_AT_ONCE, entry.credit + (now - entry.creditAt) / PASS_ON_MS);
  entry.credit = credit < 1 ? credit : credit - 1;
  entry.creditAt = now;
  return credit >= 1;
}

/** Whether another process has this connection too. Where /proc does not tell, one is believed to. */
function heldElsewhere({ fd = -1 }: Handle): boolean {
  const { readdirSync, readlinkSync } = require('node:fs') as typeof import('node:fs');
  try {
    const inode = readlinkSync(`/proc/self/fd/${fd}`);
    return readdirSync('/proc').some((pid) => {
      if (!/^\d+$/.test(pid) || Number(pid) === process.pid) return false;
      try {
        return readdirSync(`/proc/${pid}/fd`).some((each) => linkOf(`/proc/${pid}/fd/${each}`) === inode);
      } catch {
        // It has ended, or is another user's.
        return false;
      }
    });
  } catch {
    return true;
  }

  function linkOf(path: string): string {
    try {
      return readlinkSync(path);
    } catch {
      return '';
    }
  }
}

/** The server believes that it listens, and does so when it may. */
function holdBack(entry: Shared): void {
  const { handle, server } = entry;
  const listen = handle.listen;
  handle.listen = (backlog) => {
    handle.listen = listen;
    entry.accept = () => {
      const errno = listen.call(handle, backlog);
      if (errno !== 0) server.emit('error', new Error(`listen on ${entry.key} failed with error ${errno}`));
    };
    return 0;
  };
}

/** Another worker may just have removed the path, which the app is about to open to others. The supervisor watches, but later. */
function linkAgain(spare: string, path: string): void {
  const { linkSync } = require('node:fs') as typeof import('node:fs');
  try {
    linkSync(spare, path);
  } catch {
    // It is there.
  }
}

/** The supervisor works elsewhere: the path of a unix socket is told whole. */
function addressIn({ address, port }: Query): string | null {
  if (port >= 0 || !address || address.startsWith('\0')) return address ?? null;
  const { resolve } = require('node:path') as typeof import('node:path');
  return resolve(address);
}

/** Some slack, so that workers that are about even leave each other alone. */
function fairShare(mean: number): number {
  return 1.15 * mean + 0.5;
}

/** Node calls this method of a server whenever one of its connections has ended. */
function onConnectionEnd(server: Server, ended: () => void): void {
  const node = server as Server & { _emitCloseIfDrained?: () => void };
  const original = node._emitCloseIfDrained;
  if (!original) return;
  node._emitCloseIfDrained = function () {
    ended();
    return original.call(this);
  };
}

/** Whether it serves what another worker has served until now: a new build may be of another kind. */
function welcomes(entry: Shared): boolean {
  const { maxConnections } = entry.server;
  return isPlainHttp(entry.server) && !(maxConnections > 0 && openIn(entry) >= maxConnections);
}

function openIn({ server }: Shared): number {
  return (server as Server & { _connections?: number })._connections ?? 0;
}

/**
 * What a server holds where the supervisor accepts for it: it keeps the process alive, and knows its address.
 * @param closed closes the socket itself, which is only kept open.
 */
function standIn(sockname: Readonly<Record<string, unknown>>, closed: () => void): Handle {
  let alive: NodeJS.Timeout | null = null;
  const ref = (): void => {
    alive ??= setInterval(() => {}, LONGEST_TIMER_MS);
  };
  const unref = (): void => {
    if (alive) clearInterval(alive);
    alive = null;
  };
  ref();
  return {
    listen: () => 0,
    // Node takes the end of a handle for immediate, and its callback for later.
    close: (callback) => {
      unref();
      closed();
      if (callback) setImmediate(callback);
    },
    ref,
    unref,
    getsockname: (out) => {
      Object.assign(out, sockname);
      return 0;
    },
  };
}
