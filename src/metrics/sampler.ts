import type { ProcessStat } from '../supervisor/ports.ts';

export interface Usage {
  /** Percent of one CPU between the last two samples; null until there are two. */
  readonly cpuPercent: number | null;
  readonly rssBytes: number;
}

interface Sample {
  readonly at: number;
  readonly stat: ProcessStat;
  readonly cpuPercent: number | null;
}

export type ReadProcesses = (pids: readonly number[]) => readonly ProcessStat[];

/** CPU over less than this is noise: the kernel counts in ticks of 10 ms. */
const SHORTEST_MS = 500;

/** CPU and memory of processes, by comparing samples. */
export class Sampler {
  readonly #read: ReadProcesses;
  #samples = new Map<number, Sample>();

  constructor(read: ReadProcesses) {
    this.#read = read;
  }

  /** Takes a sample of exactly these processes, and forgets all others. */
  sample(pids: readonly number[], now: number): void {
    const next = new Map<number, Sample>();
    for (const stat of this.#read(pids)) {
      const last = this.#samples.get(stat.pid);
      const same = last?.stat.startTime === stat.startTime ? last : undefined;
      // Too soon to say anything new of the CPU: the older sample stays the base.
      if (same && now - same.at < SHORTEST_MS)
        next.set(stat.pid, { ...same, stat: { ...stat, cpuMs: same.stat.cpuMs } });
      else next.set(stat.pid, { at: now, stat, cpuPercent: same ? percent(same, stat, now) : null });
    }
    this.#samples = next;
  }

  usage(pid: number): Usage | null {
    const sample = this.#samples.get(pid);
    return sample ? { cpuPercent: sample.cpuPercent, rssBytes: sample.stat.rssBytes } : null;
  }
}

function percent(before: Sample, stat: ProcessStat, now: number): number {
  return Math.max(0, Math.round(((stat.cpuMs - before.stat.cpuMs) / (now - before.at)) * 1000) / 10);
}
