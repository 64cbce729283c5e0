import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { ProcessStat, TraceLeft } from '../supervisor/ports.ts';
import { type Cgroup, cgroupOf, openCgroup, startInCgroup } from './cgroups.ts';
import { withDescriptor } from './spare-descriptor.ts';

/**
 * Stands in the environment of every process of one run of an instance. One that leaves its parent, its group and its
 * session is still known by it: few programs throw away all of their environment.
 */
const MARK_VAR = 'UPKEEP_RUN';

const MARK = /(?:^|\0)UPKEEP_RUN=([0-9a-f]{16})(?:\0|$)/;

/** How the processes of one run are known, wherever they have gone. */
export interface Trace {
  readonly mark: string | null;
  readonly cgroup: Cgroup | null;
}

/**
 * Starts the main process of a run.
 * @param start makes it, with these variables besides its others.
 * @param early it may fork as soon as it is there.
 */
export function startTraced<Child extends { readonly pid?: number | undefined }>(
  start: (variables: { readonly [MARK_VAR]: string }) => Child,
  early: boolean,
): { readonly child: Child; readonly trace: Trace } {
  const mark = randomBytes(8).toString('hex');
  const { child, cgroup } = startInCgroup(() => start({ [MARK_VAR]: mark }), early);
  return { child, trace: { mark, cgroup } };
}

/** Of a process that runs already. */
export function traceOf(pid: number): Trace {
  return { mark: markOf(pid), cgroup: cgroupOf(pid) };
}

/** As the next supervisor finds it in the ledger. */
export function traceLeft({ mark, cgroup }: Trace): TraceLeft {
  return { mark, cgroup: cgroup?.folder ?? null };
}

export function followTrace({ mark, cgroup }: TraceLeft): Trace {
  return { mark, cgroup: cgroup === null ? null : openCgroup(cgroup) };
}

/** @returns null for a process without one, or whose environment may not be read. */
function markOf(pid: number): string | null {
  return MARK.exec(readEnvironment(pid))?.[1] ?? null;
}

let seen = new Map<number, { readonly startTime: string; readonly mark: string | null }>();

/** The processes that carry a mark. Each process is read once: what it inherited does not change. */
export function markedProcesses(mark: string, rows: readonly ProcessStat[]): ProcessStat[] {
  const next: typeof seen = new Map();
  const found = rows.filter((row) => {
    const known = seen.get(row.pid);
    const entry = known?.startTime === row.startTime ? known : readEntry(row);
    if (entry) next.set(row.pid, entry);
    return entry?.mark === mark;
  });
  seen = next;
  return found;
}

/** @returns null for one that must be read again: a process that has just been made shows nothing yet. */
function readEntry({ pid, startTime, rssBytes }: ProcessStat): { startTime: string; mark: string | null } | null {
  // A thread of the kernel, or a zombie.
  if (rssBytes === 0) return null;
  const environment = readEnvironment(pid);
  return environment === '' ? null : { startTime, mark: MARK.exec(environment)?.[1] ?? null };
}

function readEnvironment(pid: number): string {
  try {
    return withDescriptor(() => readFileSync(`/proc/${pid}/environ`, 'latin1'));
  } catch {
    return '';
  }
}
