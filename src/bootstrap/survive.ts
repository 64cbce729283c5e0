import type { Socket } from 'node:net';
import { ATTACH_DOOR, type Identity } from '../protocol/ipc.ts';
import { clearInterval, countListeners, emit, listenersOf, off, setInterval, setTimeout } from './own.ts';

/**
 * What an app does when its supervisor is gone without a word: it goes on, unaware, and is bound to the next supervisor
 * by a new channel under the same `process.send`. docs/adoption.md tells the whole story.
 */

const FIRST_RETRY_MS = 20;
const LONGEST_RETRY_MS = 1000;
/** Nobody who may bind this process will ever come: the home is gone, or another user's. */
const FINAL: ReadonlySet<string> = new Set(['EACCES', 'EPERM', 'ENOTDIR']);

/** Of a message whose reader is gone: told before the end of the channel is, or after. */
const UNSENT: ReadonlySet<string> = new Set(['EPIPE', 'ECONNRESET', 'ERR_IPC_CHANNEL_CLOSED']);

type Emit = (event: string, ...args: unknown[]) => boolean;
type ForkChild = (fd: number, serialization: 'json') => void;

/** Node's types do not know it. */
const INTERNAL = 'internalMessage' as 'message';
/** What Node listens to on behalf of a channel; the first of INTERNAL, and elsewhere those with these names. */
const LISTENS_TO = [INTERNAL, 'newListener' as 'message', 'removeListener' as 'message'] as const;
const OF_THE_CHANNEL: ReadonlySet<string> = new Set(['onNewListener', 'onRemoveListener']);

function allListeners() {
  return LISTENS_TO.flatMap((event) => listenersOf(event).map((listener) => ({ event, listener })));
}

/** As Node counts them: each keeps the process alive by its channel. */
function countHolders(): number {
  return countListeners('message') + countListeners('disconnect');
}

/** Node calls the same method when a channel ends as an app that ends it. */
function isEndOfChannel(): boolean {
  // The app may have changed how stacks are made.
  const { stackTraceLimit, prepareStackTrace } = Error;
  Error.stackTraceLimit = 10;
  Reflect.deleteProperty(Error, 'prepareStackTrace');
  const { stack = '' } = new Error();
  Error.stackTraceLimit = stackTraceLimit;
  if (prepareStackTrace) Error.prepareStackTrace = prepareStackTrace;
  return /\bonread\b/.test(stack);
}

export interface Survival {
  /** Whom to go to. Without that the end of the channel is what it always was. */
  readonly know: (identity: Identity) => void;
  /** There is no supervisor at present, and there will be one. */
  readonly isAway: () => boolean;
  /** No channel keeps the process alive from now on. */
  readonly letGo: () => void;
}

/** @param on `lost` is called when the supervisor is gone, `attached` when there is a new one. */
export function survive(on: { readonly lost: () => void; readonly attached: (identity: Identity) => void }): Survival {
  // Node's own, of the channel: the next channel comes with its own ones.
  let channelListeners = allListeners().filter(
    ({ event, listener }, at) => (event === INTERNAL && at === 0) || OF_THE_CHANNEL.has(listener.name),
  );
  let identity: Identity | null = null;
  let away = false;
  let leaving = false;
  /** It was taken in by the present supervisor. */
  let welcome = true;

  let free = false;
  let alive: NodeJS.Timeout | undefined;
  let { send: sendOfNode } = process;
  (process as { emit: Emit }).emit = (event, ...args) => {
    if (event === 'disconnect' && identity && !leaving) {
      lose(identity);
      return true;
    }
    // What the app sends meanwhile is lost, as it is when a parent is gone; but no reason to crash.
    if (event === 'error' && identity && !leaving && UNSENT.has((args[0] as NodeJS.ErrnoException)?.code ?? ''))
      return true;
    return emit(event, ...args);
  };
  watchLeaving();

  /** An app that closes its channel itself wants no other. */
  function watchLeaving(): void {
    const disconnect = process.disconnect?.bind(process);
    process.disconnect = () => {
      leaving = !isEndOfChannel();
      // Node would wait for word that a handle has arrived, which nobody is left to give.
      if (!leaving) (process as { _handleQueue?: unknown })._handleQueue = null;
      disconnect?.();
    };
  }

  function lose(own: Identity): void {
    if (away) return;
    away = true;
    on.lost();
    // Where nothing but the channel kept the process alive.
    if (!free && countHolders() > 0) alive = setInterval(() => {}, 2 ** 30);
    const end = (): void => {
      away = false;
      clearInterval(alive);
    };
    // One that takes nobody in is not asked all the time.
    const firstMs = welcome ? FIRST_RETRY_MS : LONGEST_RETRY_MS;
    welcome = false;
    attach(own, firstMs, {
      bind: (fd) => {
        end();
        bind(fd);
        on.attached(own);
      },
      giveUp: () => {
        end();
        emit('disconnect');
      },
    });
  }

  function bind(fd: number): void {
    const { _forkChild: forkChild } = require('node:child_process') as unknown as { _forkChild: ForkChild };
    for (const { event, listener } of channelListeners) off(event, listener);
    const before = new Set(allListeners().map(({ listener }) => listener));
    const { send } = process;
    forkChild(fd, 'json');
    // What the app has put in its place calls the one before, which takes the new channel.
    if (send === sendOfNode) sendOfNode = process.send;
    else Object.assign(process, { send });
    channelListeners = allListeners().filter(({ listener }) => !before.has(listener));
    // Node counts those that are added from now on.
    const { channel } = process as { channel?: { readonly refCounted?: () => void } };
    for (let holders = countHolders(); holders > 0; holders--) channel?.refCounted?.();
    if (free) process.channel?.unref();
    watchLeaving();
  }

  return {
    know: (given) => {
      // Another supervisor than the one that started this process knows nothing of its descriptors.
      identity = { ...given, door: given.door ?? identity?.door ?? null };
      welcome = true;
    },
    isAway: () => away,
    letGo: () => {
      free = true;
      clearInterval(alive);
      process.channel?.unref();
    },
  };
}

interface Attempts {
  /** Gets a descriptor that is its own from then on. */
  readonly bind: (fd: number) => void;
  readonly giveUp: () => void;
}

/** Tries until somebody accepts, or nobody ever will. */
function attach({ socket: path, ledger, door }: Identity, firstMs: number, { bind, giveUp }: Attempts): void {
  const { Socket: NetSocket } = require('node:net') as typeof import('node:net');
  const { existsSync } = require('node:fs') as typeof import('node:fs');
  const ways = [{ path, sign: ledger }];
  if (door !== null) ways.push(wayThrough(door));
  let retryMs = firstMs;
  const attempt = (): void => {
    const [way] = ways;
    if (!way) return giveUp();
    const socket = new NetSocket();
    // Nothing of what comes may be read before the channel does.
    socket.pause();
    socket.once('error', ({ code = '' }: NodeJS.ErrnoException) => {
      if (FINAL.has(code) || !existsSync(way.sign)) {
        ways.shift();
        return attempt();
      }
      setTimeout(attempt, retryMs);
      retryMs = Math.min(retryMs * 1.2, LONGEST_RETRY_MS);
    });
    socket.connect(way.path, () => {
      const fd = keepOpen(socket);
      if (fd === null) giveUp();
      else bind(fd);
    });
  };
  setTimeout(attempt, retryMs);
}

/** For one that may not enter the home, as it is another user's, or has become so. */
function wayThrough(door: number): { readonly path: string; readonly sign: string } {
  const path = `/proc/self/fd/${door}/${ATTACH_DOOR}`;
  return { path, sign: path };
}

/** Sockets whose descriptor has got another owner: closing them would close it. */
const given = new Set<Socket>();

function keepOpen(socket: Socket): number | null {
  const { _handle: handle } = socket as Socket & { _handle?: { readonly fd: number; readonly unref: () => void } };
  if (!handle || handle.fd < 0) return null;
  handle.unref();
  given.add(socket);
  return handle.fd;
}
