import { type BigIntStats, type FSWatcher, linkSync, lstatSync, rmSync, unlinkSync, watch } from 'node:fs';
import { constants as osConstants } from 'node:os';
import { basename, dirname, join } from 'node:path';
import type { SocketQuery } from '../protocol/ipc.ts';
import { acting, type User } from './as-user.ts';
import type { Listener } from './handover.ts';
import { bind, type RawHandle } from './raw-handle.ts';

/**
 * The paths of unix sockets. An app removes the one that it left at its last start before it listens, as a process alone
 * must; here that is the socket that its siblings serve. So it has a second name beside it, by which the path is made to
 * lead to it again. docs/sockets.md tells the story.
 */

/** A folder that is removed, or made anew, tells nobody: it is looked at this often. */
const LOOK_MS = 1000;
/** Who removes a path, as before it listens, has this long to remove its folder too, or to bind something else there. */
const SETTLE_MS = 100;
/** What fits into the address of a unix socket on all systems. */
const LONGEST_ADDRESS = 103;

const EADDRINUSE = -osConstants.errno.EADDRINUSE;

export interface UnixPath {
  /** The second name of the socket. */
  readonly spare: string | null;
  /** Whether the path leads to the socket. */
  readonly leads: () => boolean;
  /** Links it there again. @returns 0, `EADDRINUSE` where something else is there, or null: it must be bound anew. */
  readonly relink: () => number | null;
  /** Removes it, if it still leads to the socket. */
  readonly remove: () => void;
}

/** Whether a socket is in the file system. */
export function hasPath({ address, port }: SocketQuery): boolean {
  return port < 0 && address !== null && address !== '' && !address.startsWith('\0');
}

/** Binds a socket in the file system as its user, who could else have it made, and removed, wherever root may. */
export function bindPath(user: User, query: SocketQuery): { handle: RawHandle; path: UnixPath } | number {
  const path = query.address ?? '';
  const handle = acting(user, () => {
    const spare = spareOf(path);
    // Another app may serve there.
    if (idOf(path) !== null) return EADDRINUSE;
    // By this name first: at its end libuv removes it, and the path may lead to another's socket by then.
    return (spare === null ? null : bindAndLink(query, spare, path)) ?? bind(query);
  });
  return typeof handle === 'number' ? handle : { handle, path: unixPath(user, path) };
}

/** Of a socket that another supervisor has bound. */
export function adoptPath(user: User, { address }: SocketQuery): UnixPath {
  const path = address ?? '';
  const spare = spareOf(path);
  if (spare !== null && idOf(spare) === null) acting(user, () => tryTo(() => linkSync(path, spare)));
  return unixPath(user, path);
}

/**
 * Calls back when the folder of a path may have changed, a little later unless it is to be at once.
 * @returns what ends that.
 */
export function watchPath(path: string, changed: () => void, atOnce: () => boolean): () => void {
  let watcher: FSWatcher | null = null;
  let settling: NodeJS.Timeout | null = null;
  const stop = (): void => {
    watcher?.close();
    watcher = null;
  };
  const start = (): void => {
    try {
      watcher = watch(dirname(path), { persistent: false }, (_, name) => {
        if (name === null || name === basename(path) || name === basename(dirname(path))) settle();
      });
      watcher.on('error', stop);
    } catch {
      // It is not there, or there are no more watches.
    }
  };
  const settle = (): void => {
    if (atOnce()) return changed();
    settling ??= setTimeout(() => {
      settling = null;
      changed();
    }, SETTLE_MS).unref();
  };
  start();
  let folder = idOf(dirname(path));
  const timer = setInterval(() => {
    const now = idOf(dirname(path));
    if (now !== folder) {
      folder = now;
      stop();
      start();
    }
    settle();
  }, LOOK_MS).unref();
  return () => {
    clearInterval(timer);
    if (settling) clearTimeout(settling);
    stop();
  };
}

/**
 * Makes the path of a listener lead to its socket again, if it does not.
 * @param serve begins to accept from a new socket, where the supervisor does. @returns 0, or why it could not.
 */
export function restorePath(listener: Listener, serve: (handle: RawHandle) => number): number {
  const { path, user, query, key, handles, members, way } = listener;
  if (!path || path.leads()) return 0;
  const errno = path.relink();
  if (errno !== null) return errno;
  // Its folder was removed. Who waits in the queue of the socket before is served by the workers.
  for (const handle of handles.values()) handle.close();
  const bound = bindPath(user, query);
  if (typeof bound === 'number') return bound;
  if (way === 'handed') serve(bound.handle);
  handles.set(0, bound.handle);
  listener.path = bound.path;
  for (const { worker } of members.values())
    worker.send({ kind: 'also-socket', socket: key, instead: true }, bound.handle);
  return 0;
}

function unixPath(user: User, path: string): UnixPath {
  const spare = spareOf(path);
  const owner = BigInt(user.uid ?? process.geteuid?.() ?? 0);
  // As long as the socket is open, no other file gets its number.
  const id = idOf(path) ?? (spare && idOf(spare, (stat) => stat.isSocket() && stat.uid === owner));
  const leads = (): boolean => id !== null && idOf(path) === id;
  return {
    spare,
    leads,
    relink: () => {
      if (idOf(path) !== null) return EADDRINUSE;
      if (spare === null || id === null || idOf(spare) !== id) return null;
      acting(user, () => tryTo(() => linkSync(spare, path)));
      return leads() ? 0 : null;
    },
    remove: () =>
      acting(user, () => {
        if (leads()) tryTo(() => unlinkSync(path));
        if (spare !== null && id !== null && idOf(spare) === id) tryTo(() => unlinkSync(spare));
      }),
  };
}

function bindAndLink(query: SocketQuery, spare: string, path: string): RawHandle | null {
  // Of a supervisor that was killed.
  tryTo(() => rmSync(spare, { force: true }));
  const handle = bind({ ...query, address: spare });
  if (typeof handle === 'number') return null;
  if (tryTo(() => linkSync(spare, path))) return handle;
  // The file system has no links.
  handle.close();
  return null;
}

/** The second name of a socket; null where it is too long. */
function spareOf(path: string): string | null {
  const spare = join(dirname(path), `.${basename(path)}.upkeep`);
  return Buffer.byteLength(spare) > LONGEST_ADDRESS ? null : spare;
}

/** What tells a file from all others; null where there is none. */
function idOf(path: string, of: (stat: BigIntStats) => boolean = () => true): string | null {
  try {
    const stat = lstatSync(path, { bigint: true });
    return of(stat) ? `${stat.dev} ${stat.ino}` : null;
  } catch {
    return null;
  }
}

function tryTo(action: () => void): boolean {
  try {
    action();
    return true;
  } catch {
    return false;
  }
}
