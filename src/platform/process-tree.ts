import type { ProcessStat } from '../supervisor/ports.ts';
import { readAllProcesses, readProcess } from './process-table.ts';
import { sendSignal } from './send-signal.ts';

const POLL_MS = 50;
/** Many trees are signalled in one moment, as when all apps are stopped: they share one look at the process table. */
const TABLE_AGE_MS = 20;

let table: { readonly until: number; readonly rows: readonly ProcessStat[] } | null = null;

function recentTable(): readonly ProcessStat[] {
  if (table && performance.now() < table.until) return table.rows;
  try {
    table = { rows: readAllProcesses(), until: performance.now() + TABLE_AGE_MS };
    return table.rows;
  } catch {
    // Groups are left, and what was seen before.
    return table?.rows ?? [];
  }
}

/**
 * What one main process started, and what that started. A process whose parent died is no longer below the main
 * process, so each look remembers what it saw, by pid and start time.
 */
export class ProcessTree {
  readonly #pid: number;
  readonly #ownGroup: boolean;
  readonly #known = new Map<number, string>();
  #poll: NodeJS.Timeout | null = null;
  #mainGone = false;

  /** @param ownGroup the main process leads a process group of its own, so the group belongs to the tree. */
  constructor(pid: number, ownGroup: boolean) {
    this.#pid = pid;
    this.#ownGroup = ownGroup;
  }

  /**
   * Signals everything of the tree that is alive once. The main process first: a shell whose child dies before its own
   * signal comes would go on with the next command.
   */
  signal(signal: string): void {
    this.#look();
    if (!this.#mainGone) sendSignal(this.#pid, signal);
    for (const pid of this.#alive()) sendSignal(pid, signal);
    // What was forked since the look; a second SIGKILL does no harm, a second polite signal might.
    if (signal === 'SIGKILL' && this.#ownGroup) sendSignal(-this.#pid, signal);
  }

  /** The main process was reaped: its pid may be another's from now on. */
  mainExited(): void {
    this.#mainGone = true;
  }

  /** Whether anything but the main process is left. */
  hasDescendants(): boolean {
    if (this.#alive().length > 0) return true;
    if (!this.#ownGroup || !sendSignal(-this.#pid, 0)) return false;
    return recentTable().some((row) => row.group === this.#pid && row.pid !== this.#pid && !row.zombie);
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
  }

  #look(): void {
    const rows = recentTable();
    const queue = [this.#pid, ...this.#known.keys()];
    for (const row of rows) if (this.#ownGroup && row.group === this.#pid && row.pid !== this.#pid) queue.push(row.pid);
    const members = new Set(queue);
    for (const parent of queue) {
      for (const { pid, ppid } of rows) {
        if (ppid !== parent || members.has(pid)) continue;
        members.add(pid);
        queue.push(pid);
      }
    }
    members.delete(this.#pid);
    for (const { pid, startTime } of rows)
      if (members.has(pid) && !this.#known.has(pid)) this.#known.set(pid, startTime);
  }

  #alive(): number[] {
    return [...this.#known].flatMap(([pid, startTime]) => {
      const stat = readProcess(pid);
      return stat && !stat.zombie && stat.startTime === startTime ? pid : [];
    });
  }
}
