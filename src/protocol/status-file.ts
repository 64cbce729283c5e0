import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import type { Home } from './home.ts';
import type { InstanceView } from './messages.ts';
import { VERSION } from './version.ts';

/**
 * What `list` shows, as the daemon keeps it in a file: to read a file takes a fraction of the time that connecting to a
 * socket does (docs/adr/0004-code-cache.md). Linux only, as /proc tells whether its writer lives.
 */
interface Status {
  readonly at: number;
  readonly pid: number;
  readonly startTime: string;
  readonly version: string;
  readonly instances: readonly InstanceView[];
}

/** The daemon writes at least this often, also when nothing changes. */
export const STATUS_EVERY_MS = 5000;
/** An older file is that of a daemon that hangs: asking it will tell. */
const STATUS_AGE_MS = STATUS_EVERY_MS * 1.5;

export function writeStatus(home: Home, instances: readonly InstanceView[], now: number): void {
  const startTime = processStartTime(process.pid);
  if (startTime === null) return;
  const status: Status = { at: now, pid: process.pid, startTime, version: VERSION, instances };
  writeFileSync(`${home.status}.tmp`, JSON.stringify(status), { mode: 0o600 });
  renameSync(`${home.status}.tmp`, home.status);
}

export function removeStatus(home: Home): void {
  rmSync(home.status, { force: true });
}

/** @returns null where only the daemon itself can tell: no file, an old one, or one whose writer is gone. */
export function readStatus(home: Home, now: number): readonly InstanceView[] | null {
  try {
    const { at, pid, startTime, version, instances } = JSON.parse(readFileSync(home.status, 'utf8')) as Status;
    const fresh = at <= now && now - at < STATUS_AGE_MS;
    // Another version's is for it to explain.
    return fresh && version === VERSION && processStartTime(pid) === startTime ? instances : null;
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
