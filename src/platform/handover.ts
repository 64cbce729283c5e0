import { ASK_AFTER_MS, type Moves, type SocketQuery, type ToSockets } from '../protocol/ipc.ts';
import type { User } from './as-user.ts';
import type { RawHandle } from './raw-handle.ts';
import type { UnixPath } from './unix-path.ts';

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
/** One worker, as far as sockets go. */
export interface SocketWorker {
  /** Its place in the app; its successor has the same. */
  readonly slot: number;
  /** It gets no connection before it is admitted, but those that are made for it. */
  readonly held: boolean;
  /** Another supervisor has started it: it comes with the sockets that it has. */
  readonly awaited: boolean;
  /** Whom it runs as. */
  readonly user: User;
  readonly send: (body: ToSockets, handle?: RawHandle) => void;
}

/** How a socket's connections reach its workers. */
export type Way = 'shared' | 'handed' | 'kernel';

/** A worker that listens on a socket. */
export interface Member {
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
export interface Connection {
  readonly id: number;
  readonly listener: Listener;
  readonly client: RawHandle;
  readonly head: string;
  /** Who passed it on, and would take it back, as long as it is there. */
  giver: SocketWorker | null;
  /** What the giver calls it. */
  readonly pass: number;
  /** The only worker that it is for. */
  readonly only: SocketWorker | null;
  /** It was the giver's, which ends. */
  readonly moves: Moves | null;
  /** The only place that it may move to. */
  readonly slot: number | null;
  readonly asked: Set<SocketWorker>;
  /** To whom it was sent, and who did not have it. */
  readonly declined: Set<SocketWorker>;
  /** Whom it was sent to, until that one says that it has it. */
  holder: Member | null;
  timer: NodeJS.Timeout | null;
}

export type Move = Pick<Connection, 'pass' | 'moves' | 'slot'>;

/** One address that workers listen on. It outlives each of them. */
export interface Listener {
  readonly key: string;
  readonly query: SocketQuery;
  readonly way: Way;
  /** Whom it was bound for. */
  readonly user: User;
  /** Of a unix socket in the file system. */
  path: UnixPath | null;
  /** Watches over it no more. */
  unwatch: () => void;
  /** By slot for `kernel`, else only the one of slot 0. */
  readonly handles: Map<number, RawHandle>;
  readonly members: Map<SocketWorker, Member>;
  /** `kernel`: who accepts for slots that have no worker of their own. */
  readonly adopters: Map<number, SocketWorker>;
  readonly waiting: Connection[];
  toldMean: number;
}

/** The connections of a cluster that are in the supervisor's hands, on their way to a worker. */
export class Handover {
  readonly #held = new Map<number, Connection>();
  #nextConnection = 1;
  #tellingMean = false;
  #quiet = false;
  readonly #dirty = new Set<Listener>();

  get count(): number {
    return this.#held.size;
  }

  /** Workers keep what they have from now on. */
  quiesce(listeners: Iterable<Listener>): void {
    this.#quiet = true;
    for (const { key, members } of listeners) {
      for (const { worker } of members.values()) worker.send({ kind: 'mean', socket: key, mean: -1 });
    }
  }

  /** @param open the connections that it has. */
  load(listener: Listener, member: Member, open: number): void {
    member.open = open + member.inTransit;
    this.tellMean(listener);
  }

  /** A worker that has more than its share passes one on. */
  passOn(listener: Listener | undefined, giver: SocketWorker, client: RawHandle, pass: number): void {
    if (listener && this.#held.size < MOST_HELD) return this.find(this.hold(listener, client, { giver, pass }));
    client.close();
    giver.send({ kind: 'passed', pass });
  }

  /**
   * A worker that ends moves one of its connections.
   * @param slot the only place for it, if there is only one.
   */
  move(listener: Listener | undefined, giver: SocketWorker, client: RawHandle, what: Move): void {
    if (listener && this.#held.size < MOST_HELD) return this.find(this.hold(listener, client, { giver, ...what }));
    client.close();
    giver.send({ kind: 'kept', pass: what.pass });
  }

  /**
   * A worker answers that it would take one. Another one may have been faster.
   * @param members what it is to each of its listeners.
   */
  claim(members: readonly Member[], id: number): void {
    for (const member of members) {
      const offered = [...member.asked].find((connection) => connection.id === id);
      if (!offered) continue;
      member.asked.delete(offered);
      member.silent = false;
      if (this.#held.has(id) && !offered.holder) this.send(offered, member);
    }
  }

  took(worker: SocketWorker, id: number): void {
    const connection = this.#held.get(id);
    if (!connection || connection.holder?.worker !== worker) return;
    const { holder, listener } = connection;
    holder.inTransit--;
    this.#drop(connection);
    this.serveWaiting(listener);
  }

  declined(worker: SocketWorker, id: number): void {
    const connection = this.#held.get(id);
    if (connection?.holder?.worker !== worker) return;
    // It would be sent there again and again.
    if (connection.declined.has(worker) && !connection.moves) return this.#drop(connection);
    connection.declined.add(worker);
    connection.asked.add(worker);
    this.#again(connection);
  }

  /** What its giver has sent may not have come. */
  askedAfter(giver: SocketWorker, pass: number): void {
    const isHere = [...this.#held.values()].some(
      (connection) => connection.giver === giver && connection.pass === pass,
    );
    if (!isHere) giver.send({ kind: 'kept', pass });
  }

  /** Its process has ended. */
  gone(worker: SocketWorker): void {
    for (const connection of this.#held.values()) {
      if (connection.giver === worker) connection.giver = null;
      if (connection.holder?.worker === worker) this.#again(connection);
      else if (connection.only === worker) this.#drop(connection);
    }
  }

  /** Nobody listens there any more. */
  abandon({ waiting }: Listener): void {
    for (const connection of waiting) this.#drop(connection);
  }

  /** To none that has not taken its last one. */
  serveWaiting(listener: Listener): void {
    const { members, waiting } = listener;
    while (waiting.length > 0) {
      const member = [...members.values()].find(({ inTransit, held }) => inTransit === 0 && !held);
      if (!member) return;
      // To the end of the line.
      members.delete(member.worker);
      members.set(member.worker, member);
      const connection = waiting.shift();
      if (connection) this.send(connection, member);
    }
  }

  hold(
    listener: Listener,
    client: RawHandle,
    more: Partial<Pick<Connection, 'giver' | 'pass' | 'only' | 'head' | 'moves' | 'slot'>>,
  ): Connection {
    const connection: Connection = {
      id: this.#nextConnection++,
      listener,
      client,
      head: '',
      giver: null,
      pass: 0,
      only: null,
      moves: null,
      slot: null,
      ...more,
      asked: new Set(),
      declined: new Set(),
      holder: null,
      timer: null,
    };
    this.#held.set(connection.id, connection);
    return connection;
  }

  /** Asks the least loaded worker that was not asked yet. */
  find(connection: Connection): void {
    if (connection.holder) return;
    const { listener, asked, giver, moves, slot } = connection;
    const candidates = [...listener.members.values()].filter(
      (member) =>
        // Of those that move, no more are under way than their givers let go of.
        (member.asked.size < MOST_ASKED || moves !== null) &&
        (slot === null || member.worker.slot === slot) &&
        !member.silent &&
        !member.held &&
        !asked.has(member.worker) &&
        member.worker !== giver,
    );
    // What the old one in a place had goes to the new one there: so nobody has more than before.
    const heir = moves && candidates.findLast(({ worker }) => worker.slot === giver?.slot);
    const least = heir ?? candidates.reduce<Member | null>((a, b) => (a && loadOf(a) <= loadOf(b) ? a : b), null);
    if (moves && giver && !least) return this.#drop(connection, 'kept');
    const back = giver && listener.members.get(giver);
    // Nobody is better off: then who had it first is as good as any.
    if (back && (!least || loadOf(least) >= loadOf(back))) return this.send(connection, back);
    if (!least) return this.wait(connection);
    asked.add(least.worker);
    least.asked.add(connection);
    least.worker.send({ kind: 'offer', connection: connection.id, socket: listener.key });
    connection.timer = setTimeout(() => {
      least.silent = true;
      this.find(connection);
      this.tellMean(listener);
    }, ANSWER_MS);
  }

  /** To the one that its client belongs to, unless very many are on their way there, as where it is blocked. */
  assign(connection: Connection, member: Member): void {
    if (member.inTransit < MOST_WAITING) this.send(connection, member);
    else this.#drop(connection);
  }

  send(connection: Connection, member: Member): void {
    const { id, listener, client, head, moves } = connection;
    if (connection.timer) clearTimeout(connection.timer);
    connection.timer = null;
    connection.holder = member;
    member.inTransit++;
    member.open++;
    // The supervisor's own descriptor stays open until the worker has said that it has one.
    member.worker.send({ kind: 'take', connection: id, socket: listener.key, head, moves }, client);
    connection.timer = setTimeout(() => member.worker.send({ kind: 'ask-after', connection: id }), ASK_AFTER_MS);
  }

  /** The worker that it was sent to does not have it. */
  #again(connection: Connection): void {
    if (connection.timer) clearTimeout(connection.timer);
    connection.timer = null;
    if (connection.holder) connection.holder.inTransit--;
    connection.holder = null;
    if (connection.only) return this.#drop(connection);
    if (connection.moves) this.find(connection);
    else this.wait(connection);
  }

  /** Gives it to the next worker that is free, in turn. */
  wait(connection: Connection): void {
    const { waiting } = connection.listener;
    if (waiting.length >= MOST_WAITING) return this.#drop(connection);
    waiting.push(connection);
    this.serveWaiting(connection.listener);
    if (connection.holder) return;
    if (connection.timer) clearTimeout(connection.timer);
    connection.timer = setTimeout(() => {
      waiting.splice(waiting.indexOf(connection), 1);
      this.#drop(connection);
    }, WAITING_MS);
  }

  /** @param told what its giver hears of it: somebody has it or it has ended, or it is still the giver's. */
  #drop(connection: Connection, told: 'passed' | 'kept' = 'passed'): void {
    if (connection.timer) clearTimeout(connection.timer);
    this.#held.delete(connection.id);
    connection.client.close();
    connection.giver?.send({ kind: told, pass: connection.pass });
  }

  tellMean(listener: Listener): void {
    if (listener.way !== 'shared' || this.#quiet) return;
    this.#dirty.add(listener);
    if (this.#tellingMean) return;
    this.#tellingMean = true;
    setTimeout(() => {
      this.#tellingMean = false;
      const dirty = [...this.#dirty];
      this.#dirty.clear();
      if (!this.#quiet) for (const each of dirty) tellMean(each);
    }, MEAN_MS);
  }
}

/** Its connections, and those that it may get. */
function loadOf({ open, asked }: Member): number {
  return open + asked.size;
}

function tellMean(listener: Listener): void {
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
