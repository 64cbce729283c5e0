import type { ProcessStat } from '../supervisor/ports.ts';
import { newestPid, readAllProcesses, readProcess } from './process-table.ts';
import { sendSignal } from './send-signal.ts';
import { markedProcesses, type Trace, traceOf } from './traces.ts';

const POLL_MS = 50;
/** One that forks faster than it can be looked for is left to its cgroup, its group, and the next try. */
const MOST_LOOKS = 5;
/**
 * Read once in a turn of the event loop, as many trees may be signalled, or found to have lost their main process, in
 * one: it takes 30 us a process. An older one may not have yet what a main process left behind.
 */
let table: { readonly rows: readonly ProcessStat[]; readonly newest: number } | null = null;
/** The main processes of all trees. None of them is in another tree, so that of many instances few are looked at. */
const mains = new Set<number>();

function currentTable(newest?: number): readonly ProcessStat[] {
  if (table && (newest === undefined || table.newest === newest)) return table.rows;
  try {
    table = { newest: newestPid(), rows: readAllProcesses(mains) };
    setImmediate(() => {
      table = null;
    });
    return table.rows;
  } catch {
    // Groups and cgroups are left, and what was seen before.
    return [];
  }
}

/** What a tree asks of the system. */
export interface Processes {
  /**
   * All of them, as they were in this turn of the event loop; main processes may be left out.
   * @param newest not as they were before this was the newest.
   */
  readonly all: (newest?: number) => readonly ProcessStat[];
  readonly one: (pid: number) => ProcessStat | null;
  readonly marked: (mark: string, rows: readonly ProcessStat[]) => readonly ProcessStat[];
  /** Changes whenever a process is made, where that can be told. */
  readonly newest: () => number;
  readonly signal: (pid: number, signal: string | 0) => boolean;
}

const SYSTEM: Processes = {
  all: currentTable,
  one: readProcess,
  marked: markedProcesses,
  newest: newestPid,
  signal: sendSignal,
};

/**
 * What one main process started, and what that started. A process whose parent died is no longer below the main
 * process, so each look remembers what it saw, by pid and start time: a pid alone may be a stranger's by now. Where
 * there are cgroups, the one of this run holds all of it; else what has left its group and its parent is found by the
 * mark in its environment.
 */
export class ProcessTree {
  readonly #pid: number;
  readonly #processes: Processes;
  readonly #trace: Trace;
  /** '' where it could not be read. */
  readonly #startTime: string;
  readonly #known = new Map<number, string>();
  #poll: NodeJS.Timeout | null = null;
  #mainGone = false;
  /** The process group of that number is the tree's. Once it was empty, it may be a stranger's. */
  #groupIsOurs: boolean;

  /**
   * @param ownGroup the main process leads a process group of its own, so the group belongs to the tree.
   * @param trace given where the process has just been started: it may not show anything yet.
   */
  constructor(pid: number, ownGroup: boolean, trace: Trace = traceOf(pid), processes: Processes = SYSTEM) {
    this.#pid = pid;
    this.#processes = processes;
    this.#groupIsOurs = ownGroup;
    this.#trace = trace;
    this.#startTime = processes.one(pid)?.startTime ?? '';
    mains.add(pid);
  }

  /**
   * Signals everything of the tree that is alive once. The main process first: a shell whose child dies before its own
   * signal comes would go on with the next command.
   */
  signal(signal: string): void {
    if (signal === 'SIGKILL') return this.#kill();
    this.#look();
    if (this.#mainLives()) this.#processes.signal(this.#pid, signal);
    for (const pid of this.#alive()) this.#processes.signal(pid, signal);
  }

  /** What is killed may have forked since it was looked for. */
  #kill(): void {
    if (this.#mainLives()) this.#processes.signal(this.#pid, 'SIGKILL');
    const killed = new Set<number>();
    for (let look = 0; look < MOST_LOOKS; look++) {
      const newest = this.#processes.newest();
      this.#look(newest);
      const found = this.#alive().filter((pid) => !killed.has(pid));
      for (const pid of found) {
        killed.add(pid);
        this.#processes.signal(pid, 'SIGKILL');
      }
      if (found.length === 0 && this.#processes.newest() === newest) break;
    }
    this.#trace.cgroup?.kill();
    if (this.#groupIsOurs) this.#processes.signal(-this.#pid, 'SIGKILL');
  }

  /** The main process was reaped: its pid may be another's from now on. */
  mainExited(): void {
    this.#mainGone = true;
    mains.delete(this.#pid);
    this.#checkGroup();
  }

  /** Whether anything but the main process is left. */
  hasDescendants(): boolean {
    if (this.#alive().length > 0) return true;
    this.#checkGroup();
    const { cgroup } = this.#trace;
    if (cgroup && this.#mainGone && cgroup.isPopulated()) return true;
    const mayHave = !cgroup || this.#groupIsOurs || this.#inCgroup().length > 0;
    const has = mayHave && this.#finds();
    if (!has && this.#mainGone) cgroup?.remove();
    return has;
  }

  /** Calls once, when nothing but the main process is left; at once if that is so now. */
  whenGone(done: () => void): void {
    this.forget();
    if (!this.hasDescendants()) return done();
    // They are not our children: the kernel does not tell us when they end.
    this.#poll = setInterval(() => {
      if (this.hasDescendants()) return;
      this.forget();
      done();
    }, POLL_MS);
  }

  forget(): void {
    if (this.#poll) clearInterval(this.#poll);
    this.#poll = null;
    if (this.#mainGone) this.#trace.cgroup?.remove();
  }

  /** What forked while it was looked for, and ended, has left a child that was not there to be seen. */
  #finds(): boolean {
    for (let look = 0; look < MOST_LOOKS; look++) {
      const newest = this.#processes.newest();
      this.#look(newest);
      if (this.#alive().length > 0) return true;
      if (this.#processes.newest() === newest) return false;
    }
    return false;
  }

  #look(newest?: number): void {
    this.#checkGroup();
    const { mark } = this.#trace;
    const rows = this.#processes.all(newest);
    const children = new Map<number, ProcessStat[]>();
    for (const row of rows) {
      const siblings = children.get(row.ppid);
      if (siblings) siblings.push(row);
      else children.set(row.ppid, [row]);
    }
    const members = new Set<ProcessStat>([
      ...(this.#mainLives() ? (children.get(this.#pid) ?? []) : []),
      ...rows.filter((row) => this.#known.get(row.pid) === row.startTime),
      ...rows.filter((row) => this.#groupIsOurs && row.group === this.#pid),
      ...this.#inCgroup().flatMap((pid) => this.#processes.one(pid) ?? []),
      ...(mark === null ? [] : this.#processes.marked(mark, rows)),
    ]);
    // What is added while it is gone through is gone through too.
    for (const member of members) for (const child of children.get(member.pid) ?? []) members.add(child);
    for (const { pid, startTime } of members) {
      if (pid !== this.#pid && pid !== process.pid) this.#known.set(pid, startTime);
    }
  }

  /** While it has a member, no other group gets its number. */
  #checkGroup(): void {
    if (!this.#groupIsOurs) return;
    const leader = this.#processes.one(this.#pid);
    const reused = leader !== null && this.#startTime !== '' && leader.startTime !== this.#startTime;
    this.#groupIsOurs = !reused && this.#processes.signal(-this.#pid, 0);
  }

  #isMain({ pid, startTime }: ProcessStat): boolean {
    return !this.#mainGone && pid === this.#pid && (startTime === this.#startTime || this.#startTime === '');
  }

  #mainLives(): boolean {
    const stat = this.#mainGone ? null : this.#processes.one(this.#pid);
    return stat !== null && this.#isMain(stat);
  }

  #inCgroup(): number[] {
    return (this.#trace.cgroup?.pids() ?? []).filter((pid) => pid !== this.#pid && !this.#known.has(pid));
  }

  #alive(): number[] {
    return [...this.#known].flatMap(([pid, startTime]) => {
      const stat = this.#processes.one(pid);
      return stat && !stat.zombie && stat.startTime === startTime ? pid : [];
    });
  }
}
