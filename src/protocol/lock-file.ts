import { lstatSync, readFileSync, readlinkSync } from 'node:fs';

/** Who holds a lock, or held it. */
export interface LockText {
  readonly pid: number;
  readonly startTime: string;
}

/** A file; or, made on a full disk, a link that leads nowhere. @throws Error where there is none, or it is damaged. */
export function readLock(path: string): LockText {
  const text = lstatSync(path).isSymbolicLink() ? readlinkSync(path) : readFileSync(path, 'utf8');
  return JSON.parse(text) as LockText;
}
