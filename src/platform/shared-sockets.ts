import type { Socket } from 'node:net';
import { constants as osConstants } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BalanceSpec } from '../domain/app-spec.ts';
import { canReusePort } from '../domain/reuse-port.ts';
import type { FromSockets, SocketQuery } from '../protocol/ipc.ts';
import { bindAs, type User } from './as-user.ts';
import { Handover, type Listener, type Member, type SocketWorker, type Way } from './handover.ts';
import { LoopbackPairs } from './loopback-pairs.ts';
import { IPV6_ONLY, nameOf, type RawHandle, REUSE_PORT } from './raw-handle.ts';
import { addressOf, HeadReader, weigh } from './sticky.ts';
import { TicketKeys } from './ticket-keys.ts';
import { adoptPath, bindPath, hasPath, restorePath, watchPath } from './unix-path.ts';

/** Connections that are on their way arrive within this time. */
const QUIESCE_MS = 2000;
const LOOK_MS = 20;
/** Addresses that one app listens on. */
const MOST_LISTENERS = 1024;
const EINVAL = -22;
const EMFILE = -24;
/** The number is the system's: 98 on Linux, 48 on macOS. */
const EADDRINUSE = -osConstants.errno.EADDRINUSE;

/** What a worker's messages are fed to. */
export interface WorkerSockets {
  readonly handle: (message: FromSockets, handle: RawHandle | undefined) => void;
  /** It is ready: from now on it has its share. */
  readonly admit: () => void;
  /** No new connection is given to it from now on. */
  readonly stopListening: () => void;
  /** Its process has ended. */
  readonly gone: () => void;
  /** A connection from here to this very worker. */
  readonly connect: (port: number | null) => Promise<Socket>;
}

/** The listening sockets of a cluster, held for its workers so that none closes while the app is wanted. */
export class SharedSockets {
  readonly #balance: () => BalanceSpec;
  readonly #listeners = new Map<string, Listener>();
  readonly #held = new Set<SocketWorker>();
  /** Who listens no more, and is about to end. */
  readonly #leaving = new Set<SocketWorker>();
  readonly #ticketKeys = new TicketKeys((keys) => {
    const workers = new Set([...this.#listeners.values()].flatMap(({ members }) => [...members.keys()]));
    for (const worker of workers) worker.send({ kind: 'ticket-keys', keys });
  });
  /** Who has not told yet which sockets it has. */
  readonly #awaited = new Set<SocketWorker>();
  /** What must wait for them. */
  readonly #postponed: (() => void)[] = [];
  readonly #connections = new Handover();
  readonly #heads = new HeadReader();
  readonly #pairs = new LoopbackPairs();

  /** @param balance is asked when a socket is opened; an open one stays as it is. */
  constructor(balance: () => BalanceSpec) {
    this.#balance = balance;
  }

  attach(worker: SocketWorker): WorkerSockets {
    if (worker.held) this.#held.add(worker);
    if (worker.awaited) this.#awaited.add(worker);
    return {
      admit: () => this.#admit(worker),
      handle: (message, handle) => this.#handle(worker, message, handle),
      stopListening: () => {
        this.#leaving.add(worker);
        this.#leaveAll(worker);
      },
      gone: () => {
        this.#leaving.delete(worker);
        this.#held.delete(worker);
        this.#leaveAll(worker);
        this.#told(worker);
        this.#connections.gone(worker);
        for (const listener of this.#listeners.values()) if (listener.members.size > 0) this.#restorePath(listener);
      },
      connect: (port) => this.#connectTo(worker, port),
    };
  }

  /** Closes the sockets that no worker listens on. */
  closeUnused(): void {
    for (const [key, listener] of this.#listeners) {
      if (listener.members.size > 0) continue;
      this.#connections.abandon(listener);
      listener.unwatch();
      listener.path?.remove();
      for (const handle of listener.handles.values()) handle.close();
      this.#listeners.delete(key);
    }
    if (this.#listeners.size > 0) return;
    this.#pairs.close();
    this.#ticketKeys.drop();
  }

  /** Gives all connections away, and takes no new ones: workers that accept themselves go on, sockets stay theirs. */
  async quiesce(): Promise<void> {
    this.#connections.quiesce(this.#listeners.values());
    for (const { way, handles, unwatch } of this.#listeners.values()) {
      unwatch();
      if (way === 'handed') for (const handle of handles.values()) handle.close();
    }
    const until = performance.now() + QUIESCE_MS;
    // Twice in a row: one that a worker has just passed on may still be on its way here.
    for (let empty = 0; empty < 2 && performance.now() < until; ) {
      await sleep(LOOK_MS);
      empty = this.#connections.count === 0 ? empty + 1 : 0;
    }
  }

  #told(worker: SocketWorker): void {
    if (!this.#awaited.delete(worker) || this.#awaited.size > 0) return;
    for (const action of this.#postponed.splice(0)) action();
  }

  #admit(worker: SocketWorker): void {
    if (!this.#held.delete(worker)) return;
    for (const listener of this.#listeners.values()) {
      const member = listener.members.get(worker);
      if (!member) continue;
      member.held = false;
      worker.send({ kind: 'accept', socket: listener.key });
      this.#connections.serveWaiting(listener);
      this.#connections.tellMean(listener);
    }
  }

  #handle(worker: SocketWorker, message: FromSockets, handle: RawHandle | undefined): void {
    switch (message.kind) {
      case 'open-socket':
        if (this.#awaited.size === 0) return this.#open(worker, message);
        if (this.#postponed.length >= MOST_LISTENERS) return refuse(worker, message.request);
        // The address may be that of a socket that another one brings.
        this.#postponed.push(() => this.#open(worker, message));
        return;
      case 'have-socket':
        return this.#have(worker, message, handle);
      case 'no-more-sockets':
        return this.#told(worker);
      case 'ticket-keys': {
        if (!this.#awaited.has(worker)) return;
        const keys = this.#ticketKeys.adopt(message.keys);
        if (keys !== message.keys) worker.send({ kind: 'ticket-keys', keys });
        return;
      }
      case 'close-socket':
        return this.#leave(worker, message.socket);
      case 'load': {
        const listener = this.#listeners.get(message.socket);
        const member = listener?.members.get(worker);
        if (listener && member) this.#connections.load(listener, member, message.open);
        return;
      }
      case 'pass-on': {
        const listener = this.#listeners.get(message.socket);
        const member = listener?.members.get(worker);
        if (member) member.open = message.open + member.inTransit;
        if (!handle) return;
        if (message.moves) return this.#move(worker, listener, handle, message);
        return this.#connections.passOn(listener, worker, handle, message.pass);
      }
      case 'ask-after':
        return this.#connections.askedAfter(worker, message.pass);
      case 'claim':
        return this.#connections.claim(this.#membershipsOf(worker), message.connection);
      case 'took':
        return this.#connections.took(worker, message.connection);
      case 'declined':
        return this.#connections.declined(worker, message.connection);
    }
  }

  /** With `sticky`, only to the worker that its client belongs to. */
  #move(
    worker: SocketWorker,
    listener: Listener | undefined,
    client: RawHandle,
    { pass, moves }: Extract<FromSockets, { kind: 'pass-on' }>,
  ): void {
    const { mode, cookie } = this.#balance();
    const move = { pass, moves, slot: null };
    if (mode !== 'sticky' || !listener) return this.#connections.move(listener, worker, client, move);
    const present = [...listener.members.values()].filter(({ held }) => !held);
    const hasHeir = present.some((member) => member.worker.slot === worker.slot);
    // Which one a cookie names is not known before the next request.
    const slot = hasHeir || cookie !== null ? worker.slot : bestSlot(present, addressOf(client));
    this.#connections.move(listener, worker, client, { ...move, slot });
  }

  #open(worker: SocketWorker, query: Extract<FromSockets, { kind: 'open-socket' }>): void {
    const { request, address, port, addressType, flags, index } = query;
    const key = [address ?? '*', port, addressType, flags, index].join(' ');
    const { mode, cookie } = this.#balance();
    const answer = {
      kind: 'socket',
      request,
      socket: key,
      errno: 0,
      shares: false,
      hold: this.#held.has(worker),
      sockname: {},
      ticketKeys: this.#ticketKeys.get(),
      mark: mode === 'sticky' && cookie !== null ? { cookie, slot: worker.slot } : null,
    } as const;
    const listener = this.#listenerFor(worker, key, query);
    const spare = typeof listener === 'number' ? null : (listener.path?.spare ?? null);
    const handle = typeof listener === 'number' ? listener : this.#handleFor(listener, worker.slot);
    if (typeof listener === 'number' || typeof handle === 'number') {
      const errno = typeof handle === 'number' ? handle : EINVAL;
      if (typeof listener !== 'number' && listener.members.size === 0) this.closeUnused();
      return worker.send({ ...answer, errno, spare: null, accepts: 'worker' });
    }
    listener.members.set(worker, { worker, open: 0, asked: new Set(), silent: false, inTransit: 0, held: answer.hold });
    if (listener.way === 'handed') {
      worker.send({ ...answer, spare, accepts: 'supervisor', sockname: nameOf(handle) }, handle);
      return this.#connections.serveWaiting(listener);
    }
    worker.send({ ...answer, spare, accepts: 'worker', shares: listener.way === 'shared' }, handle);
    this.#connections.serveWaiting(listener);
    this.#connections.tellMean(listener);
  }

  /** A worker of another supervisor brings a socket that it has. */
  #have(
    worker: SocketWorker,
    message: Extract<FromSockets, { kind: 'have-socket' }>,
    handle: RawHandle | undefined,
  ): void {
    if (!handle) return;
    if (!this.#awaited.has(worker) || this.#listeners.size >= MOST_LISTENERS) return handle.close();
    const { socket: key, open } = message;
    const known = this.#listeners.get(key);
    const slot = this.#wayFor(message) === 'kernel' ? worker.slot : 0;
    const listener =
      known ??
      this.#listenerOn(handle, key, message, {
        slot,
        user: worker.user,
        path: hasPath(message) ? adoptPath(worker.user, message) : null,
      });
    if (typeof listener === 'number') return;
    if (known?.handles.has(slot)) handle.close();
    else listener.handles.set(slot, handle);
    const shown = listener.handles.get(slot);
    if (message.accepts && listener.way === 'handed' && shown) worker.send({ kind: 'hold', socket: key }, shown);
    const held = this.#held.has(worker);
    listener.members.set(worker, { worker, open, asked: new Set(), silent: false, inTransit: 0, held });
    this.#connections.serveWaiting(listener);
    this.#connections.tellMean(listener);
  }

  #listenerFor({ user }: SocketWorker, key: string, query: SocketQuery): Listener | number {
    const known = this.#listeners.get(key);
    // As many do, it may just have removed what it takes for a socket of its last run.
    const errno = known ? refusal(user, known) || this.#restorePath(known) : 0;
    if (errno !== 0) return errno;
    return known ?? this.#newListener(user, key, query);
  }

  #newListener(user: User, key: string, query: SocketQuery): Listener | number {
    if (this.#listeners.size >= MOST_LISTENERS) return EMFILE;
    // Whatever else a socket can be asked for might let it share the port of somebody else.
    if (query.flags !== 0 && query.flags !== IPV6_ONLY) return EINVAL;
    if (hasPath(query)) {
      const bound = bindPath(user, query);
      if (typeof bound === 'number') return bound;
      return this.#listenerOn(bound.handle, key, query, { slot: 0, user, path: bound.path });
    }
    const handle = this.#wayFor(query) === 'kernel' ? bindReusable(user, query) : bindAs(user, query);
    return typeof handle === 'number' ? handle : this.#listenerOn(handle, key, query, { slot: 0, user, path: null });
  }

  #listenerOn(
    handle: RawHandle,
    key: string,
    query: SocketQuery,
    { slot, user, path }: Pick<Listener, 'user' | 'path'> & { readonly slot: number },
  ): Listener | number {
    const way = this.#wayFor(query);
    const listener: Listener = {
      key,
      query,
      way,
      user,
      path,
      unwatch: () => {},
      handles: new Map([[slot, handle]]),
      members: new Map(),
      adopters: new Map(),
      waiting: [],
      toldMean: 0,
    };
    const errno = way === 'handed' ? this.#serve(listener, handle) : 0;
    if (errno !== 0) {
      path?.remove();
      handle.close();
      return errno;
    }
    if (path && query.address !== null) {
      // Removed by a worker that is about to listen, which makes it again, or by one that ends, which does not.
      const restore = (): void => void (listener.members.size > 0 && this.#restorePath(listener));
      listener.unwatch = watchPath(query.address, restore, () => this.#leaving.size > 0);
    }
    this.#listeners.set(key, listener);
    return listener;
  }

  #restorePath(listener: Listener): number {
    return restorePath(listener, (handle) => this.#serve(listener, handle));
  }

  /** Accepts for the workers. */
  #serve(listener: Listener, handle: RawHandle): number {
    handle.onconnection = (status, client) => {
      if (status === 0 && client) void this.#accepted(listener, client);
    };
    return handle.listen(listener.query.backlog);
  }

  #wayFor({ addressType }: SocketQuery): Way {
    const { mode } = this.#balance();
    if (mode === 'rr' || mode === 'sticky') return 'handed';
    if (mode === 'auto' || addressType === -1) return 'shared';
    return canReusePort(process.versions.node, process.platform) ? 'kernel' : 'handed';
  }

  #handleFor({ way, handles, query, user }: Listener, slot: number): RawHandle | number {
    const [first] = handles.values();
    if (way !== 'kernel') return first ?? EINVAL;
    const known = handles.get(slot);
    if (known) return known;
    // Port 0 became a port when the first one was bound.
    const port = Number(first && nameOf(first)['port']) || query.port;
    const handle = bindAs(user, { ...query, port, flags: query.flags | REUSE_PORT });
    if (typeof handle !== 'number') handles.set(slot, handle);
    return handle;
  }

  #membershipsOf(worker: SocketWorker): readonly Member[] {
    return [...this.#listeners.values()].flatMap(({ members }) => members.get(worker) ?? []);
  }

  #leaveAll(worker: SocketWorker): void {
    for (const key of this.#listeners.keys()) this.#leave(worker, key);
  }

  #leave(worker: SocketWorker, key: string): void {
    const listener = this.#listeners.get(key);
    const member = listener?.members.get(worker);
    if (!listener || !member) return;
    listener.members.delete(worker);
    for (const connection of member.asked) this.#connections.find(connection);
    if (listener.way === 'kernel') adoptOrphans(listener);
    this.#connections.tellMean(listener);
  }

  /** A connection that the supervisor has accepted itself. */
  async #accepted(listener: Listener, client: RawHandle): Promise<void> {
    const { mode, cookie } = this.#balance();
    const address = mode === 'sticky' ? addressOf(client) : '';
    const { head, value, marked } =
      mode === 'sticky' && cookie !== null
        ? await this.#heads.read(client, cookie)
        : { head: '', value: null, marked: null };
    const connection = this.#connections.hold(listener, client, { head });
    if (mode !== 'sticky') return this.#connections.wait(connection);
    const present = [...listener.members.values()].filter(({ held }) => !held);
    const isThere = present.some(({ worker }) => worker.slot === marked);
    const slot = isThere ? marked : bestSlot(present, value ?? address);
    // Of two in one place, as during a reload, the one that came last.
    const best = present.findLast(({ worker }) => worker.slot === slot);
    if (best) this.#connections.assign(connection, best);
    else this.#connections.wait(connection);
  }

  /** Over a connection of its own: through the socket, another worker might take it. */
  async #connectTo(worker: SocketWorker, port: number | null): Promise<Socket> {
    const listener = [...this.#listeners.values()].find(
      ({ members, handles }) =>
        members.has(worker) &&
        (port === null || [...handles.values()].some((handle) => nameOf(handle)['port'] === port)),
    );
    if (!listener) throw new Error(port === null ? 'it listens nowhere' : `it does not listen on port ${port}`);
    const { near, far } = await this.#pairs.connect();
    const member = listener.members.get(worker);
    if (member) {
      this.#connections.send(this.#connections.hold(listener, far, { only: worker }), member);
      return near;
    }
    far.close();
    near.destroy();
    throw new Error('it does not listen any more');
  }
}

/** The place that a client belongs to, of those that are there. */
function bestSlot(members: readonly Member[], client: string): number | null {
  const slots = members.map(({ worker }) => worker.slot);
  return slots.length === 0 ? null : slots.reduce((a, b) => (weigh(client, a) > weigh(client, b) ? a : b));
}

function refuse(worker: SocketWorker, request: number): void {
  const none = {
    socket: '',
    accepts: 'worker',
    shares: false,
    hold: false,
    sockname: {},
    spare: null,
    mark: null,
  } as const;
  worker.send({ kind: 'socket', request, errno: EMFILE, ...none });
}

/** What waits in the queue of a socket that nobody accepts from any more is accepted by another worker. */
function adoptOrphans({ key, handles, members, adopters }: Listener): void {
  const present = [...members.values()].filter(({ held }) => !held);
  for (const [slot, handle] of handles) {
    const adopter = adopters.get(slot);
    if ((adopter && members.has(adopter)) || present.some(({ worker }) => worker.slot === slot)) continue;
    const [least] = present.toSorted((a, b) => a.open - b.open);
    if (!least) return adopters.clear();
    adopters.set(slot, least.worker);
    least.worker.send({ kind: 'also-socket', socket: key, instead: false }, handle);
  }
}

/**
 * A socket that was bound for another user, as before the app's `uid` was changed, is given only to whom the kernel would
 * let bind it. @returns 0, or why it would not.
 */
function refusal(user: User, { user: owner, query }: Listener): number {
  if (user.uid === owner.uid || query.port < 0) return 0;
  const trial = bindAs(user, query);
  if (typeof trial === 'number') return trial === EADDRINUSE ? 0 : trial;
  trial.close();
  return 0;
}

/**
 * The flag lets another socket of this user share the port: so it is first made sure that there is none. One of another
 * user that comes in between is kept out by the kernel.
 */
function bindReusable(user: User, query: SocketQuery): RawHandle | number {
  const alone = bindAs(user, query);
  if (typeof alone === 'number') return alone;
  const port = Number(nameOf(alone)['port']) || query.port;
  alone.close();
  return bindAs(user, { ...query, port, flags: query.flags | REUSE_PORT });
}
