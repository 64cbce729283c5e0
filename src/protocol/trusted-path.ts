import { closeSync, constants, fstatSync, lstatSync, openSync, readlinkSync, type Stats } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

/** As many as the kernel follows. */
const MOST_LINKS = 40;
const WORLD_WRITABLE = 0o002;

/**
 * Follows the symbolic links of a path that a user has named, but none that a stranger may have put there: in a folder
 * where everybody may write, only those of this user, of root and of the folder's owner, as the kernel has it with
 * fs.protected_symlinks; and none of the user that the app runs as, who is not to write where this one may.
 * What is not there yet is left as it is.
 * @throws Error that names the link and whose it is.
 */
export function trustedPath(path: string, appUid: number | null): string {
  let done = '/';
  let rest = resolve(path).split('/').filter(Boolean);
  for (let links = 0; rest.length > 0; ) {
    const [name = '', ...others] = rest;
    const next = join(done, name);
    rest = others;
    const stat = lookAt(next);
    // Links that are no paths: /dev/stdout leads to /proc/self/fd/1, and that to a pipe.
    if (!stat?.isSymbolicLink() || next.startsWith('/proc/')) {
      done = next;
      continue;
    }
    if (!isTrusted(stat, lookAt(done), appUid)) {
      throw new Error(`${next} is a symbolic link of user ${stat.uid}, and is not followed`);
    }
    if (++links > MOST_LINKS) throw new Error(`${path} leads through more than ${MOST_LINKS} symbolic links`);
    const target = resolve(done, readlinkSync(next));
    rest = [...target.split('/').filter(Boolean), ...rest];
    done = '/';
  }
  return done;
}

/**
 * Opens a file that a user has named. Where others may write too, a named pipe cannot make it wait, a stranger's file
 * cannot take what is written, and a second name (a hard link) cannot have it written to a file that is elsewhere.
 * @throws Error of the system, or one that says why the file is not trusted.
 */
export function openTrusted(path: string, flags: number, appUid: number | null): number {
  const { O_NOFOLLOW, O_NONBLOCK } = constants;
  const real = trustedPath(path, appUid);
  const inProc = real.startsWith('/proc/');
  const fd = openSync(real, flags | O_NONBLOCK | (inProc ? 0 : O_NOFOLLOW), 0o600);
  const folder = inProc ? null : lookAt(dirname(real));
  const problem = folder && strangeness(fstatSync(fd), folder);
  if (problem === null) return fd;
  closeSync(fd);
  throw new Error(`${real} is ${problem}`);
}

/** @returns why a file is not trusted in this folder. */
function strangeness(file: Stats, folder: Stats): string | null {
  const isOpen = (folder.mode & WORLD_WRITABLE) !== 0;
  if (isOpen && !isOwn(file.uid)) return `a file of user ${file.uid} in a folder where everybody may write`;
  if (!file.isFile() || file.nlink === 1 || (!isOpen && isOwn(folder.uid))) return null;
  return `a file with other names (hard links) in a folder where others may write`;
}

function isTrusted(link: Stats, folder: Stats | null, appUid: number | null): boolean {
  if (isOwn(link.uid)) return true;
  if (link.uid === appUid) return false;
  return folder !== null && ((folder.mode & WORLD_WRITABLE) === 0 || folder.uid === link.uid);
}

function isOwn(uid: number): boolean {
  return uid === 0 || uid === process.geteuid?.();
}

/** @returns null for what is not there, or cannot be reached: whoever opens it is told. */
function lookAt(path: string): Stats | null {
  try {
    return lstatSync(path);
  } catch {
    return null;
  }
}
