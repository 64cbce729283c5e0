import type { ChildProcess } from 'node:child_process';
import { IPC_CMD, type ToApp } from '../protocol/ipc.ts';

/** What has come of a message is kept until it is whole; no app that means well sends a longer one to its supervisor. */
const LONGEST_MESSAGE = 16 * 1024 * 1024;
/** A message that begins and does not go on for this long will never be whole. */
const HALF_MS = 1000;
/** Emitted by a child whose channel holds what does not become a message. */
export const SPOILT = 'spoilt';
/** With more than this of answers that an app has not read, nothing that it says is heard. */
const MOST_UNREAD_BYTES = 1024 * 1024;
/** How often it is looked whether it reads again. */
const LOOK_MS = 50;
/** Node keeps what is said after a handle until the app says that this has arrived; an app that means well says so. */
const MOST_KEPT = 16_384;
/** With more than this the app is behind. */
const MANY_KEPT = 100;

/** What tells only how things are now: it is left out where the last word of it has not been read yet. */
const OF_THE_MOMENT: ReadonlySet<ToApp['kind']> = new Set(['mean', 'ping']);

/** Node's pipe under a channel. */
interface ChannelHandle {
  onread?: (...args: unknown[]) => void;
  /** Part of a message has come. */
  buffering?: boolean;
  readonly writeQueueSize?: number;
  readonly readStart: () => void;
  readonly readStop: () => void;
}

/**
 * Keeps what an app says, and what it does not read of what it is told, from filling the memory of this process. Node has
 * no bound for either. The three names without documentation are `kChannelHandle`, `kJSONBuffer` and `_handleQueue`; where
 * they change, there is none.
 */
export function boundChannel(child: ChildProcess): void {
  const channel = symbolOf(child, 'kChannelHandle') as ChannelHandle | undefined;
  const { onread } = channel ?? {};
  if (!channel || !onread) return;
  let looking: NodeJS.Timeout | null = null;
  const unread = (): number => channel.writeQueueSize ?? 0;
  const kept = (): number => (child as { readonly _handleQueue?: readonly unknown[] | null })._handleQueue?.length ?? 0;
  const close = (what: string): void => {
    const app = child.pid === undefined ? 'an app' : `process ${child.pid}`;
    console.error(`${app} ${what}: its channel is closed`);
    // Else Node waits for the rest of the message.
    channel.buffering = false;
    if (child.connected) child.disconnect();
  };
  const lookWhetherItReads = (): void => {
    looking = null;
    if (!child.connected) return;
    if (unread() > MOST_UNREAD_BYTES / 2) looking = setTimeout(lookWhetherItReads, LOOK_MS);
    else channel.readStart();
  };

  let half: NodeJS.Timeout | undefined;
  channel.onread = function (...args) {
    clearTimeout(half);
    try {
      onread.apply(this, args);
    } catch {
      // Whatever the app, or what it has started, has written to the descriptor. Node would let it end this process.
      return close('sent what is no message');
    }
    if (!child.connected) return;
    const pending = symbolOf(this, 'kJSONBuffer');
    if (typeof pending === 'string' && pending.length >= LONGEST_MESSAGE)
      return close(`sent a message of more than ${LONGEST_MESSAGE} bytes`);
    if (pending) half = setTimeout(() => child.emit(SPOILT), HALF_MS).unref();
    if (kept() > MOST_KEPT) return close('does not say that what it was sent has arrived');
    if (unread() <= MOST_UNREAD_BYTES || looking) return;
    channel.readStop();
    looking = setTimeout(lookWhetherItReads, LOOK_MS);
  };
  child.once('disconnect', () => {
    if (looking) clearTimeout(looking);
  });

  const send = child.send.bind(child) as (...args: unknown[]) => boolean;
  const isBehind = (): boolean => unread() > MOST_UNREAD_BYTES || kept() > MANY_KEPT;
  child.send = (message: unknown, ...more: unknown[]) =>
    isOfTheMoment(message) && isBehind() ? false : send(message, ...more);
}

function isOfTheMoment(message: unknown): boolean {
  const { cmd, body } = message as { readonly cmd?: unknown; readonly body?: ToApp };
  return cmd === IPC_CMD && body !== undefined && OF_THE_MOMENT.has(body.kind);
}

function symbolOf(owner: object, name: string): unknown {
  const symbol = Object.getOwnPropertySymbols(owner).find(({ description }) => description === name);
  return symbol && (owner as Record<symbol, unknown>)[symbol];
}
