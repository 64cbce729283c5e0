import { closeSync, constants, fstatSync, lstatSync, openSync, type Stats } from 'node:fs';
import { dirname } from 'node:path';

const WORLD_WRITABLE = 0o002;

/**
 * Which files beside a log may be taken for its own: others may write to its folder, too, and call theirs as they like.
 * They are this user's or root's, as all that upkeep makes are; or of the log's own user, unless everybody may write
 * there: some network file systems give all files to one user.
 */
export function ownFilesOf(log: string): (stat: Stats) => boolean {
  const owners = new Set([0, process.geteuid?.() ?? 0]);
  const current = lookAt(log);
  const folder = lookAt(dirname(log));
  if (current?.isFile() && folder && (folder.mode & WORLD_WRITABLE) === 0) owners.add(current.uid);
  return (stat) => stat.isFile() && owners.has(stat.uid);
}

/** What it takes of the disk: a file with holes is not as large as it says. */
export function bytesOnDisk({ size, blocks }: Stats): number {
  return Math.min(size, blocks * 512);
}

/**
 * Opens a file of a log to read it. Whatever else stands there by this name, or is put there meanwhile, is not waited
 * for, followed or used.
 * @param log that it is of: the file itself, or what that was before it was set aside.
 * @throws Error of the system, or one that says what is there instead.
 */
export function openOwn(path: string, log: string): { readonly fd: number; readonly stat: Stats } {
  const isOwn = ownFilesOf(log);
  refuseOthers(lstatSync(path), isOwn);
  const { O_RDONLY, O_NONBLOCK, O_NOFOLLOW } = constants;
  const fd = openSync(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW);
  try {
    const stat = fstatSync(fd);
    refuseOthers(stat, isOwn);
    return { fd, stat };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function refuseOthers(stat: Stats, isOwn: (stat: Stats) => boolean): void {
  if (isOwn(stat)) return;
  if (!stat.isFile()) throw new Error(`it is ${kindOf(stat)}, and no file`);
  throw new Error(`it belongs to user ${stat.uid}, and everybody may write to its folder`);
}

function kindOf(stat: Stats): string {
  if (stat.isDirectory()) return 'a folder';
  if (stat.isFIFO()) return 'a named pipe';
  if (stat.isSymbolicLink()) return 'a symbolic link';
  return stat.isSocket() ? 'a socket' : 'a device';
}

function lookAt(path: string): Stats | null {
  try {
    return lstatSync(path);
  } catch {
    return null;
  }
}
