import { spawnSync } from 'node:child_process';
import { existsSync, fchownSync } from 'node:fs';
import type { AppSpec } from '../domain/app-spec.ts';
import type { Descriptors } from '../supervisor/ports.ts';
import { type BindRequest, bind, type RawHandle } from './raw-handle.ts';
import { groupsOf, learnGroups } from './user-groups.ts';

export type User = Pick<AppSpec, 'uid' | 'gid'>;

/** What to start, so that it runs as the user of an app. */
export interface UserCommand {
  readonly file: string;
  readonly args: readonly string[];
  /** For spawn. Node.js switches with these to a user without any supplementary groups. */
  readonly ids: { readonly uid?: number; readonly gid?: number };
}

/**
 * Where it is there, `setpriv` of util-linux switches and becomes the program: the pid stays, and the user has all of
 * its groups, as far as they were learnt.
 */
export function asUser({ uid, gid }: User, file: string, args: readonly string[]): UserCommand {
  const ids = { ...(uid === null ? {} : { uid }), ...(gid === null ? {} : { gid }) };
  if (uid === null || gid === null || process.getuid?.() !== 0) return { file, args, ids };
  setpriv ??= findSetpriv();
  if (!setpriv) return { file, args, ids };
  const groups = groupsOf(uid);
  return {
    file: setpriv,
    args: [
      '--reuid',
      String(uid),
      '--regid',
      String(gid),
      ...(groups.length === 0 ? ['--clear-groups'] : ['--groups', groups.join(',')]),
      '--',
      file,
      ...args,
    ],
    ids: {},
  };
}

/** To be waited for before a program is started as a user. @returns null where nothing is to be learnt. */
export function learnUser({ uid, gid }: User): Promise<void> | null {
  return uid === null || gid === null || process.getuid?.() !== 0 ? null : learnGroups(uid);
}

/** Lets that user open them anew, as by /dev/stderr. */
export function lend({ uid, gid }: User, { inFd, outFd, errFd }: Descriptors): void {
  if (uid === null || process.getuid?.() !== 0) return;
  for (const fd of [inFd, outFd, errFd]) fchownSync(fd, uid, gid ?? -1);
}

/** Binds a socket for an app as its user: what the kernel refuses to that user, no app of it gets from a supervisor of root. */
export function bindAs(user: User, query: BindRequest): RawHandle | number {
  return withRightsOf(user, () => bind(query));
}

/** Does something at once with the rights of another user, as far as files go. */
export function acting<T>(user: User, action: () => T): T {
  const { uid, gid } = user;
  if (uid === null || gid === null || process.geteuid?.() !== 0) return action();
  const groups = process.getgroups?.() ?? [];
  try {
    process.setgroups?.([...new Set([gid, ...groupsOf(uid)])]);
    process.setegid?.(gid);
    return withRightsOf(user, action);
  } finally {
    process.setegid?.(0);
    process.setgroups?.(groups);
  }
}

/** Does something at once with the rights that do not depend on groups, as those to ports. */
export function withRightsOf<T>({ uid }: User, action: () => T): T {
  if (uid === null || process.geteuid?.() !== 0) return action();
  process.seteuid?.(uid);
  try {
    return action();
  } finally {
    process.seteuid?.(0);
  }
}

let setpriv: string | false | null = null;

/** Not on the app's PATH: it is run as root. */
function findSetpriv(): string | false {
  const path = ['/usr/bin/setpriv', '/bin/setpriv'].find((candidate) => existsSync(candidate));
  // That of busybox has other options.
  const { stdout } = spawnSync(path ?? '', ['--help'], { encoding: 'utf8', env: {}, timeout: 5000 });
  if (path && stdout?.includes('--init-groups')) return path;
  console.error('without setpriv (util-linux), apps with a uid run without supplementary groups');
  return false;
}
