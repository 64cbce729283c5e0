import { spawnSync } from 'node:child_process';
import { existsSync, fchownSync } from 'node:fs';
import type { AppSpec } from '../domain/app-spec.ts';

type User = Pick<AppSpec, 'uid' | 'gid'>;

/** What to start, so that it runs as the user of an app. */
export interface UserCommand {
  readonly file: string;
  readonly args: readonly string[];
  /** For spawn. Node.js switches with these to a user without any supplementary groups. */
  readonly ids: { readonly uid?: number; readonly gid?: number };
}

/**
 * Where it is there, `setpriv` of util-linux switches and becomes the program: the pid stays, and the user has all of
 * its groups.
 */
export function asUser({ uid, gid }: User, file: string, args: readonly string[]): UserCommand {
  const ids = { ...(uid === null ? {} : { uid }), ...(gid === null ? {} : { gid }) };
  if (uid === null || gid === null || process.getuid?.() !== 0) return { file, args, ids };
  setpriv ??= findSetpriv();
  if (!setpriv) return { file, args, ids };
  const groups = isKnown(uid) ? '--init-groups' : '--clear-groups';
  return {
    file: setpriv,
    args: ['--reuid', String(uid), '--regid', String(gid), groups, '--', file, ...args],
    ids: {},
  };
}

/** Lets that user open its output anew, as by /dev/stderr. */
export function lend({ uid, gid }: User, fds: readonly number[]): void {
  if (uid === null || process.getuid?.() !== 0) return;
  for (const fd of fds) fchownSync(fd, uid, gid ?? -1);
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

/** Whether the system has groups for a user. */
function isKnown(uid: number): boolean {
  return spawnSync('getent', ['passwd', String(uid)], { env: { PATH: '/usr/bin:/bin' }, timeout: 5000 }).status === 0;
}
