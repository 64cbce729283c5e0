import type { Socket } from 'node:net';
import type { Worker } from 'node:worker_threads';
import { off, on, setTimeout } from './own.ts';

/**
 * Tells when an app has settled: nothing is pending of what its start began, and nothing has been for some turns of the
 * event loop. Only Node's own lists are looked at: nothing of the app is wrapped, and what has begun goes on unseen.
 */

/** So long, and for so many looks, nothing may be pending. */
const QUIET_MS = 25;
const QUIET_LOOKS = 4;
const LOOK_MS = 5;
/** A child process or a thread that fails as it starts has failed by then. */
const BEGUN_MS = 100;
/** One that takes longer to settle is looked at less often, and in the end not at all. */
const OFTEN_MS = 500;
const SELDOM_MS = 50;
const LONGEST_MS = 30_000;

/** Files, and look-ups of names. Sockets are known by their own state. */
const REQUEST = /^FSReq|^Get\w+ReqWrap$/;

/** What Node lists as active, which is no part of its public types: a socket, a child process, or something else. */
interface Handle extends Partial<Pick<Socket, 'connecting' | 'readable' | 'bytesRead' | 'bytesWritten'>> {
  /** Of a socket that a server has accepted. */
  readonly server?: unknown;
  /** Of a child process. */
  readonly spawnfile?: string;
}

const inside = process as typeof process & { readonly _getActiveHandles?: () => readonly (Handle | null)[] };

// The app may replace it.
const now = performance.now.bind(performance);

/**
 * From before the main module.
 * @returns what calls back once, unless the app never settles. It keeps no process alive.
 */
export function watchStart(): (settled: () => void) => void {
  /** When a thread was seen last that had just begun; one that has not got to its code begins all the time. */
  let lastThread = Number.NEGATIVE_INFINITY;
  const threadBegan = (): void => {
    lastThread = now();
  };
  const noteThread = (thread: Worker): void => {
    lastThread = Number.POSITIVE_INFINITY;
    thread.once('online', threadBegan).once('exit', threadBegan);
  };
  on('worker', noteThread);
  /** When each child process was seen first. */
  const begun = new WeakMap<object, number>();
  const isYoung = (child: object, at: number): boolean => {
    const first = begun.get(child) ?? at;
    begun.set(child, first);
    return at - first < BEGUN_MS;
  };
  const isPending = (at: number): boolean =>
    at - lastThread < BEGUN_MS ||
    inside.getActiveResourcesInfo().some((name) => REQUEST.test(name)) ||
    (inside._getActiveHandles?.() ?? []).some(
      (handle) => handle && (handle.spawnfile === undefined ? awaits(handle) : isYoung(handle, at)),
    );

  return (settled) => {
    const since = now();
    let quietSince = since;
    let looks = 0;
    const look = (): void => {
      const at = now();
      if (isPending(at)) {
        quietSince = at;
        looks = 0;
      } else looks++;
      const isSettled = looks > QUIET_LOOKS && at - quietSince >= QUIET_MS;
      if (isSettled || at - since > LONGEST_MS) off('worker', noteThread);
      else setTimeout(look, at - since < OFTEN_MS ? LOOK_MS : SELDOM_MS).unref();
      if (isSettled) settled();
    };
    look();
  };
}

/** A socket that connects, or has asked its peer something and heard nothing yet. */
function awaits({ connecting, server, readable, bytesRead, bytesWritten = 0 }: Handle): boolean {
  return connecting === true || (!server && readable === true && bytesWritten > 0 && bytesRead === 0);
}
