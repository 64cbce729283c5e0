import { accessSync, constants, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { shortageOf } from '../domain/shortage.ts';

/**
 * Says what keeps a log from being read or emptied, and what to do about it: one log must not keep the others from it.
 * @throws the error itself, where the machine is short of something: that is no matter of one log.
 */
export function accessProblem(doing: 'read' | 'empty', path: string, error: unknown): string {
  if (shortageOf(error) !== null) throw error;
  const { code, syscall, message } = error as NodeJS.ErrnoException;
  if (code === 'EISDIR') return `cannot ${doing} the log ${path}: it is a folder, and no file`;
  if (code !== 'EACCES' && code !== 'EPERM') return `cannot ${doing} the log ${path}: ${message}`;
  // What is removed is a matter of its folder.
  const closed = closedFolder(path) ?? (syscall === 'open' ? path : dirname(path));
  return `cannot ${doing} the log ${closed === path ? path : `files in ${closed}`}: permission denied (${code}); ${remedy(closed)}`;
}

/** The outermost folder that may not be entered; null for none. */
function closedFolder(path: string): string | null {
  let closed: string | null = null;
  for (let at = path, folder = dirname(at); folder !== at; at = folder, folder = dirname(at)) {
    try {
      accessSync(folder, constants.X_OK);
    } catch {
      closed = folder;
    }
  }
  return closed;
}

function remedy(path: string): string {
  const stat = statSync(path, { throwIfNoEntry: false });
  const own = process.geteuid?.();
  if (stat && stat.uid !== own) return `it belongs to user ${stat.uid}: let user ${own} in, by chmod or chown as root`;
  return `\`chmod ${stat?.isDirectory() ? 'u+rwx' : 'u+rw'} ${path}\` opens it`;
}
