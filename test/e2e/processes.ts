import { readdirSync, readFileSync } from 'node:fs';

/** A process told apart from a later one with the same pid. */
export interface Seen {
  readonly pid: number;
  readonly startTime: string;
}

/** Whether a process runs. A zombie does not: here the first process may not reap. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  return statOf(pid)?.state !== 'Z';
}

export function seenNow(pid: number): Seen {
  return { pid, startTime: statOf(pid)?.startTime ?? '' };
}

export function stillRuns({ pid, startTime }: Seen): boolean {
  return isAlive(pid) && (statOf(pid)?.startTime ?? '') === startTime;
}

/** The command line of a process, for messages and for finding supervisors. */
export function commandLine(pid: number): string {
  return read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').trim();
}

/** Processes with this text in their command line or environment, which the apps of a test inherit from its commands. */
export function processesWith(mark: string): number[] {
  return allPids().filter(
    (pid) => pid !== process.pid && (commandLine(pid).includes(mark) || read(`/proc/${pid}/environ`).includes(mark)),
  );
}

export function childrenOf(pid: number): number[] {
  return allPids().filter((candidate) => statOf(candidate)?.ppid === pid && isAlive(candidate));
}

function allPids(): number[] {
  try {
    return readdirSync('/proc').flatMap((entry) => (/^\d+$/.test(entry) ? Number(entry) : []));
  } catch {
    // Not Linux: what is seen in lists has to do.
    return [];
  }
}

function statOf(pid: number): { state: string; ppid: number; startTime: string } | null {
  const text = read(`/proc/${pid}/stat`);
  if (text === '') return null;
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return { state: fields[0] ?? '', ppid: Number(fields[1]), startTime: fields[19] ?? '' };
}

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
