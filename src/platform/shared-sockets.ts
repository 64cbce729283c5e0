import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BalanceSpec } from '../domain/app-spec.ts';
import type { FromSockets, SocketQuery, ToSockets } from '../protocol/ipc.ts';
import { bindAs, type User } from './as-user.ts';
import { bind, canReusePort, nameOf, type RawHandle, REUSE_PORT } from './raw-handle.ts';
import { addressOf, readHead, weigh } from './sticky.ts';

/** A worker is asked whether it takes a connection, and given this long before another one is asked too. */
const ANSWER_MS = 20;
/** Questions of that kind that one worker may have before it has answered the first. */
const MOST_ASKED = 8;
/** Workers are told the mean of their loads this often at most. */
const MEAN_MS = 10;
/** Connections that wait for a worker to come; what comes beyond that is closed. */
const MOST_WAITING = 4096;
/** Connections in the hands of the supervisor, those that workers are asked to take included. */
const MOST_HELD = 2 * MOST_WAITING;
/** A connection that no worker has taken within this time is closed. */
const WAITING_MS = 60_000;
const PAIR_MS = 5000;
/** Connections that are on their way arrive within this time. */
const QUIESCE_MS = 2000;
const LOOK_MS = 20;
/** Addresses that one app listens on. */
const MOST_LISTENERS = 1024;
const EINVAL = -22;
const EMFILE = -24;

/** One worker, as far as sockets go. */
export interface SocketWorker {
  /** Its place in the app; its successor has the same. */
  readonly slot: number;
  /** It gets no connection before it is admitted, but those that are made for it. */
  readonly held: boolean;
  /** Another supervisor has started it: it comes with the sockets that it has. */
  readonly awaited: boolean;
  readonly send: (body: ToSockets, handle?: RawHandle) => void;
}

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

/** How a socket's connections reach its workers. */
type Way = 'shared' | 'handed' | 'kernel';

/** A worker that listens on a socket. */
interface Member {
  readonly worker: SocketWorker;
  /** Open connections: its own count, and what it was given since. */
  open: number;
  /** The connections that it was asked to take, and has not answered yet. */
  readonly asked: Set<Connection>;
  /** It did not answer in time: until it does, it counts as not there. */
  silent: boolean;
  /** Connections that are on their way to it. */
  inTransit: number;
  held: boolean;
}

/** A connection that the supervisor holds until a worker has it. */
interface Connection {
  readonly id: number;
  readonly listener: Listener;
  readonly client: RawHandle;
  readonly head: string;
  /** Who passed it on, and would take it back. */
  readonly giver: SocketWorker | null;
  /** What the giver calls it. */
  readonly pass: number;
  /** The only worker that it is for. */
  readonly only: SocketWorker | null;
  readonly asked: Set<SocketWorker>;
  /** Whom it was sent to, until that one says that it has it. */
  holder: Member | null;
  timer: NodeJS.Timeout | null;
}

/** One address that workers listen on. It outlives each of them. */
interface Listener {
  readonly key: string;
  readonly query: SocketQuery;
  readonly way: Way;
  /** By slot for `kernel`, else only the one of slot 0. */
  readonly handles: Map<number, RawHandle>;
  readonly members: Map<SocketWorker, Member>;
  /** `kernel`: who accepts for slots that have no worker of their own. */
  readonly adopters: Map<number, SocketWorker>;
  readonly waiting: Connection[];
  toldMean: number;
  dirty: boolean;
}

/** The listening sockets of a cluster, held for its workers so that none closes while the app is wanted. */
export class SharedSockets {
  readonly #balance: () => BalanceSpec;
  readonly #user: () => User;
  readonly #listeners = new Map<string, Listener>();
  readonly #held = new Set<SocketWorker>();
  /** Who has not told yet which sockets it has. */
  readonly #awaited = new Set<SocketWorker>();
  /** What must wait for them. */
  readonly #postponed: (() => void)[] = [];
  readonly #connections = new Map<number, Connection>();
  #nextConnection = 1;
  #tellingMean = false;
  #quiet = false;
  #pair: { readonly handle: RawHandle; readonly port: number } | null = null;
  readonly #expected = new Map<number, (client: RawHandle) => void>();

  /**
   * @param balance is asked when a socket is opened; an open one stays as it is.
   * @param user whom the app runs as.
   */
  constructor(balance: () => BalanceSpec, user: () => User = () => ({ uid: null, gid: null })) {
    this.#balance = balance;
    this.#user = user;
  }

  attach(worker: SocketWorker): WorkerSockets {
    if (worker.held) this.#held.add(worker);
    if (worker.awaited) this.#awaited.add(worker);
    return {
      admit: () => this.#admit(worker),
      handle: (message, handle) => this.#handle(worker, message, handle),
      stopListening: () => this.#leaveAll(worker),
      gone: () => {
        this.#held.delete(worker);
        this.#leaveAll(worker);
        this.#told(worker);
        for (const connection of this.#connections.values()) {
          if (connection.holder?.worker === worker) this.#again(connection);
          else if (connection.only === worker) this.#drop(connection);
        }
      },
      connect: (port) => this.#connectTo(worker, port),
    };
  }

  /** Closes the sockets that no worker listens on. */
  closeUnused(): void {
    for (const [key, { members, handles, waiting }] of this.#listeners) {
      if (members.size > 0) continue;
      for (const connection of waiting) this.#drop(connection);
      for (const handle of handles.values()) handle.close();
      this.#listeners.delete(key);
    }
    if (this.#listeners.size > 0) return;
    this.#pair?.handle.close();
    this.#pair = null;
  }

  /** Gives all connections away, and takes no new ones: workers that accept themselves go on, sockets stay theirs. */
  async quiesce(): Promise<void> {
    this.#quiet = true;
    for (const listener of this.#listeners.values()) {
      for (const { worker } of listener.members.values()) worker.send({ kind: 'mean', socket: listener.key, mean: -1 });
      if (listener.way === 'handed') for (const handle of listener.handles.values()) handle.close();
    }
    const until = performance.now() + QUIESCE_MS;
    // Twice in a row: one that a worker has just passed on may still be on its way here.
    for (let empty = 0; empty < 2 && performance.now() < until; ) {
      await sleep(LOOK_MS);
      empty = this.#connections.size === 0 ? empty + 1 : 0;
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
      this.#serveWaiting(listener);
      this.#tellMean(listener);
    }
  }

  #handle(worker: SocketWorker, message: FromSockets, handle: RawHandle | undefined): void {
    switch (message.kind) {
      case 'open-socket':
        if (this.#awaited.size === 0) return this.#open(worker, message);
        // The address may be that of a socket that another one brings.
        this.#postponed.push(() => this.#open(worker, message));
        return;
      case 'have-socket':
        return this.#have(worker, message, handle);
      case 'no-more-sockets':
        return this.#told(worker);
      case 'close-socket':
        return this.#leave(worker, message.socket);
      case 'load': {
        const listener = this.#listeners.get(message.socket);
        const member = listener?.members.get(worker);
        if (!listener || !member) return;
        member.open = message.open + member.inTransit;
        return this.#tellMean(listener);
      }
      case 'pass-on': {
        const listener = this.#listeners.get(message.socket);
        if (!handle) return;
        if (!listener || this.#connections.size >= MOST_HELD) {
          handle.close();
          return worker.send({ kind: 'passed', pass: message.pass });
        }
        const member = listener.members.get(worker);
        if (member) member.open = message.open + member.inTransit;
        return this.#find(this.#hold(listener, handle, { giver: worker, pass: message.pass }));
      }
      case 'claim': {
        const connection = this.#connections.get(message.connection);
        const member = this.#answered(worker, message.connection);
        // Another one was faster.
        if (!connection || connection.holder) return;
        if (member) return this.#send(connection, member);
        return;
      }
      case 'took': {
        const connection = this.#connections.get(message.connection);
        if (!connection || connection.holder?.worker !== worker) return;
        const { holder, listener } = connection;
        holder.inTransit--;
        this.#drop(connection);
        return this.#serveWaiting(listener);
      }
      case 'declined': {
        const connection = this.#connections.get(message.connection);
        if (connection?.holder?.worker === worker) this.#again(connection);
        return;
      }
    }
  }

  #open(worker: SocketWorker, query: Extract<FromSockets, { kind: 'open-socket' }>): void {
    const { request, address, port, addressType, flags, index } = query;
    const key = [address ?? '*', port, addressType, flags, index].join(' ');
    const answer = {
      kind: 'socket',
      request,
      socket: key,
      errno: 0,
      shares: false,
      hold: this.#held.has(worker),
      sockname: {},
    } as const;
    const listener = this.#listeners.get(key) ?? this.#newListener(key, query);
    const handle = typeof listener === 'number' ? listener : this.#handleFor(listener, worker.slot);
    if (typeof listener === 'number' || typeof handle === 'number') {
      const errno = typeof handle === 'number' ? handle : EINVAL;
      if (typeof listener !== 'number' && listener.members.size === 0) this.closeUnused();
      return worker.send({ ...answer, errno, accepts: 'worker' });
    }
    listener.members.set(worker, { worker, open: 0, asked: new Set(), silent: false, inTransit: 0, held: answer.hold });
    if (listener.way === 'handed') {
      worker.send({ ...answer, accepts: 'supervisor', sockname: nameOf(handle) }, handle);
      return this.#serveWaiting(listener);
    }
    worker.send({ ...answer, accepts: 'worker', shares: listener.way === 'shared' }, handle);
    this.#serveWaiting(listener);
    this.#tellMean(listener);
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
    const listener = known ?? this.#listenerOn(handle, key, message, slot);
    if (typeof listener === 'number') return;
    if (known?.handles.has(slot)) handle.close();
    else listener.handles.set(slot, handle);
    const held = this.#held.has(worker);
    listener.members.set(worker, { worker, open, asked: new Set(), silent: false, inTransit: 0, held });
    this.#serveWaiting(listener);
    this.#tellMean(listener);
  }

  #newListener(key: string, query: SocketQuery): Listener | number {
    if (this.#listeners.size >= MOST_LISTENERS) return EMFILE;
    const handle = this.#wayFor(query) === 'kernel' ? bindReusable(query) : bindAs(this.#user(), query);
    return typeof handle === 'number' ? handle : this.#listenerOn(handle, key, query, 0);
  }

  #listenerOn(handle: RawHandle, key: string, query: SocketQuery, slot: number): Listener | number {
    const way = this.#wayFor(query);
    const listener: Listener = {
      key,
      query,
      way,
      handles: new Map([[slot, handle]]),
      members: new Map(),
      adopters: new Map(),
      waiting: [],
      toldMean: 0,
      dirty: false,
    };
    if (way === 'handed') {
      handle.onconnection = (status, client) => {
        if (status === 0 && client) void this.#accepted(listener, client);
      };
      const errno = handle.listen(query.backlog);
      if (errno !== 0) {
        handle.close();
        return errno;
      }
    }
    this.#listeners.set(key, listener);
    return listener;
  }

  #wayFor({ addressType }: SocketQuery): Way {
    const { mode } = this.#balance();
    if (mode === 'rr' || mode === 'sticky') return 'handed';
    if (mode === 'auto' || addressType === -1) return 'shared';
    return canReusePort() ? 'kernel' : 'handed';
  }

  #handleFor({ way, handles, query }: Listener, slot: number): RawHandle | number {
    const [first] = handles.values();
    if (way !== 'kernel') return first ?? EINVAL;
    const known = handles.get(slot);
    if (known) return known;
    // Port 0 became a port when the first one was bound.
    const port = Number(first && nameOf(first)['port']) || query.port;
    const handle = bind({ ...query, port, flags: query.flags | REUSE_PORT });
    if (typeof handle !== 'number') handles.set(slot, handle);
    return handle;
  }

  #leaveAll(worker: SocketWorker): void {
    for (const key of this.#listeners.keys()) this.#leave(worker, key);
  }

  #leave(worker: SocketWorker, key: string): void {
    const listener = this.#listeners.get(key);
    const member = listener?.members.get(worker);
    if (!listener || !member) return;
    listener.members.delete(worker);
    for (const connection of member.asked) this.#find(connection);
    if (listener.way === 'kernel') adoptOrphans(listener);
    this.#tellMean(listener);
  }

  /** A connection that the supervisor has accepted itself. */
  async #accepted(listener: Listener, client: RawHandle): Promise<void> {
    const { mode, cookie } = this.#balance();
    const address = mode === 'sticky' ? addressOf(client) : '';
    const { head, value } =
      mode === 'sticky' && cookie !== null ? await readHead(client, cookie) : { head: '', value: null };
    const connection = this.#hold(listener, client, { head });
    if (mode !== 'sticky') return this.#wait(connection);
    const best = [...listener.members.values()]
      .filter(({ held }) => !held)
      .map((member) => ({ member, weight: weigh(value ?? address, member.worker.slot) }))
      // Of two in one place, as during a reload, the one that came last stays.
      .reduce<{ member: Member; weight: number } | null>((a, b) => (a && a.weight > b.weight ? a : b), null);
    if (best) this.#send(connection, best.member);
    else this.#wait(connection);
  }

  /** To none that has not taken its last one. */
  #serveWaiting(listener: Listener): void {
    const { members, waiting } = listener;
    while (waiting.length > 0) {
      const member = [...members.values()].find(({ inTransit, held }) => inTransit === 0 && !held);
      if (!member) return;
      // To the end of the line.
      members.delete(member.worker);
      members.set(member.worker, member);
      const connection = waiting.shift();
      if (connection) this.#send(connection, member);
    }
  }

  #hold(
    listener: Listener,
    client: RawHandle,
    more: Partial<Pick<Connection, 'giver' | 'pass' | 'only' | 'head'>>,
  ): Connection {
    const connection: Connection = {
      id: this.#nextConnection++,
      listener,
      client,
      head: '',
      giver: null,
      pass: 0,
      only: null,
      ...more,
      asked: new Set(),
      holder: null,
      timer: null,
    };
    this.#connections.set(connection.id, connection);
    return connection;
  }

  /** Asks the least loaded worker that was not asked yet. */
  #find(connection: Connection): void {
    if (connection.holder) return;
    const { listener, asked, giver } = connection;
    const candidates = [...listener.members.values()].filter(
      (member) =>
        member.asked.size < MOST_ASKED &&
        !member.silent &&
        !member.held &&
        !asked.has(member.worker) &&
        member.worker !== giver,
    );
    const least = candidates.reduce<Member | null>((a, b) => (a && loadOf(a) <= loadOf(b) ? a : b), null);
    const back = giver && listener.members.get(giver);
    // Nobody is better off: then who had it first is as good as any.
    if (back && (!least || loadOf(least) >= loadOf(back))) return this.#send(connection, back);
    if (!least) return this.#wait(connection);
    asked.add(least.worker);
    least.asked.add(connection);
    least.worker.send({ kind: 'offer', connection: connection.id, socket: listener.key });
    connection.timer = setTimeout(() => {
      least.silent = true;
      this.#find(connection);
      this.#tellMean(listener);
    }, ANSWER_MS);
  }

  #answered(worker: SocketWorker, id: number): Member | undefined {
    for (const { members } of this.#listeners.values()) {
      const member = members.get(worker);
      for (const connection of member?.asked ?? []) {
        if (connection.id !== id || !member) continue;
        member.asked.delete(connection);
        member.silent = false;
        return member;
      }
    }
    return undefined;
  }

  #send(connection: Connection, member: Member): void {
    const { id, listener, client, head } = connection;
    if (connection.timer) clearTimeout(connection.timer);
    connection.timer = null;
    connection.holder = member;
    member.inTransit++;
    member.open++;
    // The supervisor's own descriptor stays open until the worker has said that it has one.
    member.worker.send({ kind: 'take', connection: id, socket: listener.key, head }, client);
  }

  /** The worker that it was sent to does not have it. */
  #again(connection: Connection): void {
    if (connection.holder) connection.holder.inTransit--;
    connection.holder = null;
    if (connection.only) return this.#drop(connection);
    this.#wait(connection);
  }

  /** Gives it to the next worker that is free, in turn. */
  #wait(connection: Connection): void {
    const { waiting } = connection.listener;
    if (waiting.length >= MOST_WAITING) return this.#drop(connection);
    waiting.push(connection);
    this.#serveWaiting(connection.listener);
    if (connection.holder) return;
    if (connection.timer) clearTimeout(connection.timer);
    connection.timer = setTimeout(() => {
      waiting.splice(waiting.indexOf(connection), 1);
      this.#drop(connection);
    }, WAITING_MS);
  }

  #drop(connection: Connection): void {
    if (connection.timer) clearTimeout(connection.timer);
    this.#connections.delete(connection.id);
    connection.client.close();
    connection.giver?.send({ kind: 'passed', pass: connection.pass });
  }

  #tellMean(listener: Listener): void {
    if (listener.way !== 'shared' || this.#quiet) return;
    listener.dirty = true;
    if (this.#tellingMean) return;
    this.#tellingMean = true;
    setTimeout(() => {
      this.#tellingMean = false;
      for (const each of this.#listeners.values()) if (each.dirty && !this.#quiet) tellMean(each);
    }, MEAN_MS);
  }

  #connectTo(worker: SocketWorker, port: number | null): Promise<Socket> {
    const listener = [...this.#listeners.values()].find(
      ({ members, handles }) =>
        members.has(worker) &&
        (port === null || [...handles.values()].some((handle) => nameOf(handle)['port'] === port)),
    );
    if (!listener) {
      return Promise.reject(new Error(port === null ? 'it listens nowhere' : `it does not listen on port ${port}`));
    }
    const pair = (this.#pair ??= this.#newPair());
    return new Promise((resolve, reject) => {
      const socket = connect(pair.port, '127.0.0.1');
      const fail = (error: Error): void => {
        clearTimeout(timer);
        if (socket.localPort !== undefined) this.#expected.delete(socket.localPort);
        socket.destroy();
        reject(error);
      };
      const timer = setTimeout(() => fail(new Error(`no connection within ${PAIR_MS} ms`)), PAIR_MS);
      socket.once('error', fail);
      socket.once('connect', () => {
        const own = socket.localPort ?? 0;
        this.#expect(own, (client) => {
          clearTimeout(timer);
          socket.off('error', fail);
          const member = listener.members.get(worker);
          if (!member) {
            client.close();
            return fail(new Error('it does not listen any more'));
          }
          this.#send(this.#hold(listener, client, { only: worker }), member);
          resolve(socket);
        });
      });
    });
  }

  readonly #arrived = new Map<number, RawHandle>();

  /** The two ends of a connection may come in either order. */
  #expect(port: number, then: (client: RawHandle) => void): void {
    const arrived = this.#arrived.get(port);
    if (!arrived) return void this.#expected.set(port, then);
    this.#arrived.delete(port);
    then(arrived);
  }

  #newPair(): { handle: RawHandle; port: number } {
    const handle = bind({ address: '127.0.0.1', port: 0, addressType: 4, flags: 0 });
    if (typeof handle === 'number') throw new Error(`cannot listen on the loopback address: error ${handle}`);
    handle.onconnection = (status, client) => {
      if (status !== 0 || !client) return;
      const name: Record<string, unknown> = {};
      client.getpeername?.(name);
      const port = Number(name['port']);
      const then = this.#expected.get(port);
      this.#expected.delete(port);
      if (then) return then(client);
      this.#arrived.set(port, client);
      setTimeout(() => {
        if (this.#arrived.get(port) !== client) return;
        this.#arrived.delete(port);
        client.close();
      }, PAIR_MS).unref();
    };
    handle.listen(64);
    return { handle, port: Number(nameOf(handle)['port']) };
  }
}

/** Its connections, and those that it may get. */
function loadOf({ open, asked }: Member): number {
  return open + asked.size;
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
    least.worker.send({ kind: 'also-socket', socket: key }, handle);
  }
}

function tellMean(listener: Listener): void {
  listener.dirty = false;
  const members = [...listener.members.values()];
  const answering = members.filter(({ silent, held }) => !silent && !held);
  if (answering.length === 0) return;
  const mean = answering.reduce((sum, { open }) => sum + open, 0) / answering.length;
  if (mean === listener.toldMean && members.length > 1) return;
  listener.toldMean = mean;
  // One that is alone has nobody to pass on to.
  const told = members.length === 1 ? -1 : mean;
  for (const { worker } of members) worker.send({ kind: 'mean', socket: listener.key, mean: told });
}

/** The flag lets a stranger's socket share the port: so it is first made sure that there is none. */
function bindReusable(query: SocketQuery): RawHandle | number {
  const alone = bind(query);
  if (typeof alone === 'number') return alone;
  const port = Number(nameOf(alone)['port']) || query.port;
  alone.close();
  return bind({ ...query, port, flags: query.flags | REUSE_PORT });
}
