import { accessSync, constants, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { doubled, halved } from './doubled.ts';
import type { Home } from './home.ts';
import type { Listing } from './messages.ts';
import { removeQuietly } from './remove-quietly.ts';
import { VERSION } from './version.ts';

/**
 * What `list` shows, as the daemon keeps it in a file: to read a file takes a fraction of the time that connecting to a
 * socket does (docs/adr/0004-code-cache.md). Linux only, as /proc tells whether its writer lives.
 */
interface Status extends Listing, Times {
  readonly version: string;
  readonly pid: number;
  readonly startTime: string;
}

export interface Times {
  /** By the wall clock, which the times in a listing go by. */
  readonly wall: number;
  /** By the clock that nobody sets, and that all processes share. */
  readonly elapsed: number;
}

/** The daemon writes at least this often, also when nothing changes. */
export const STATUS_EVERY_MS = 5000;
/** An older file is that of a daemon that hangs: asking it will tell. */
const STATUS_AGE_MS = STATUS_EVERY_MS * 1.5;
/** Where the wall clock was set by more since, its times are wrong. */
const SET_BY_MS = 1000;

/** @throws Error when it cannot; then there is none, rather than an old one. */
export function writeStatus(home: Home, listing: Listing, now: Times): void {
  const startTime = processStartTime(process.pid);
  if (startTime === null) return;
  const status: Status = { version: VERSION, ...now, pid: process.pid, startTime, ...listing };
  try {
    writeFileSync(`${home.status}.tmp`, doubled(Buffer.from(JSON.stringify(status))), { mode: 0o600 });
    renameSync(`${home.status}.tmp`, home.status);
  } catch (error) {
    removeStatus(home);
    throw error;
  }
}

export function removeStatus(home: Home): void {
  removeQuietly(home.status, `${home.status}.tmp`);
}

/**
 * @returns null where only the daemon itself can tell: no file, a damaged or an old one, one of another version, one
 * whose writer is gone, or cannot write there any more.
 */
export function readStatus(home: Home, now: Times): Listing | null {
  try {
    // On a disk that has turned read-only it stays as it was.
    accessSync(home.run, constants.W_OK);
    const text = halved(readFileSync(home.status))?.toString('utf8') ?? '';
    const { version, wall, elapsed, pid, startTime, instances, problems } = JSON.parse(text) as Status;
    const ageMs = now.elapsed - elapsed;
    const isFresh = version === VERSION && ageMs >= 0 && ageMs < STATUS_AGE_MS;
    const isSet = Math.abs(now.wall - wall - ageMs) > SET_BY_MS;
    return isFresh && !isSet && processStartTime(pid) === startTime ? { instances, problems } : null;
  } catch {
    return null;
  }
}

/** @returns null for a process that is gone or a zombie, and where there is no /proc. */
function processStartTime(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? null : (fields[19] ?? null);
  } catch {
    return null;
  }
}
