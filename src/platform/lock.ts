import { linkSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { shortageOf } from '../domain/shortage.ts';
import { readLock } from '../protocol/lock-file.ts';
import { readProcess } from './process-table.ts';

/** Breaking a stale lock takes a moment; whoever holds on to that right for longer has died meanwhile. */
const BREAK_MS = 5000;
/** With the pauses between them, they take longer than BREAK_MS. */
const ATTEMPTS = 1000;
const pause = new Int32Array(new SharedArrayBuffer(4));

/**
 * A lock file that names its holder by pid and start time, so that a holder that died, or whose pid went to another
 * process, is told from one that lives. It needs no release: it ends with its holder.
 * @returns null when this process holds it now, else the pid of the holder.
 */
export function acquireLock(path: string): number | null {
  // Also where the disk is read-only.
  const before = lockHolder(path);
  if (before !== null) return before;
  const self = readProcess(process.pid);
  const mine = `${path}.${process.pid}`;
  // One that was left by a process with this pid may be the lock itself, under another name.
  rmSync(mine, { recursive: true, force: true });
  const text = JSON.stringify({ pid: process.pid, startTime: self?.startTime ?? '' });
  let take = (): void => linkSync(mine, path);
  try {
    writeFileSync(mine, text, { mode: 0o600 });
  } catch (error) {
    if (shortageOf(error) === null) throw error;
    // On a full disk there is room for a link that leads nowhere, if not for a file.
    take = () => symlinkSync(text, path);
  }
  try {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      if (isFirst(take)) return null;
      const holder = lockHolder(path);
      if (holder !== null) return holder;
      breakStale(path);
      Atomics.wait(pause, 0, 0, 2 + Math.random() * 10);
    }
    throw new Error(`cannot take the lock ${path}: remove it if no upkeep runs`);
  } finally {
    rmSync(mine, { force: true });
  }
}

/** @returns the pid of a holder that is alive, or null. */
export function lockHolder(path: string): number | null {
  try {
    const { pid, startTime } = readLock(path);
    const stat = readProcess(pid);
    return stat && !stat.zombie && stat.startTime === startTime ? pid : null;
  } catch {
    return null;
  }
}

/** A link is not made where something is: of many, one succeeds. */
function isFirst(take: () => void): boolean {
  try {
    take();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** Removes a lock whose holder is dead. Only one process at a time may, else it could remove a fresh one. */
function breakStale(path: string): void {
  const right = `${path}.break`;
  try {
    writeFileSync(right, '', { flag: 'wx', mode: 0o600 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    if (olderThan(right, BREAK_MS)) rmSync(right, { recursive: true, force: true });
    return;
  }
  try {
    if (lockHolder(path) === null) rmSync(path, { recursive: true, force: true });
  } finally {
    rmSync(right, { force: true });
  }
}

function olderThan(path: string, ms: number): boolean {
  try {
    // Also one from the future: the clock was set back.
    return Math.abs(Date.now() - statSync(path).mtimeMs) > ms;
  } catch {
    return false;
  }
}
