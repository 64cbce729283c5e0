import { Cron } from 'croner';

/** The wall clock may be set at any time, which no timer notices: it is looked at this often at least. */
const LOOK_MS = 30_000;
/** A clock that was set back by more than this begins anew; by less, and nothing runs twice. */
const SET_BACK_MS = 3 * 3_600_000;

interface Entry {
  readonly pattern: string;
  /** Milliseconds since the epoch; null where the pattern has no further time. */
  readonly at: number | null;
}

/**
 * When cron patterns are due, by the wall clock of this machine. Times that pass while nobody looks (the clock was set
 * forward, the machine slept) count once, together.
 */
export class Schedule {
  readonly #now: () => number;
  readonly #due: (key: string) => void;
  #entries = new Map<string, Entry>();
  #timer: NodeJS.Timeout | null = null;

  /** @param due is called with the key of a pattern at each of its times. */
  constructor(now: () => number, due: (key: string) => void) {
    this.#now = now;
    this.#due = due;
  }

  /** Replaces all patterns. One that stays under its key keeps its next time. */
  set(patterns: ReadonlyMap<string, string>): void {
    const now = this.#now();
    this.#entries = new Map(
      [...patterns].map(([key, pattern]) => {
        const known = this.#entries.get(key);
        return [key, known?.pattern === pattern ? known : { pattern, at: nextTime(pattern, now) }];
      }),
    );
    this.#wait();
  }

  /** @returns when a pattern is due next; null for never. */
  next(key: string): number | null {
    return this.#entries.get(key)?.at ?? null;
  }

  close(): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
  }

  /** Looks at the clock now. */
  look(): void {
    const now = this.#now();
    const due: string[] = [];
    for (const [key, { pattern, at }] of this.#entries) {
      const next = nextTime(pattern, now);
      const passed = at !== null && at <= now;
      const setBack = at !== null && next !== null && at - next > SET_BACK_MS;
      if (!passed && !setBack) continue;
      this.#entries.set(key, { pattern, at: next });
      if (passed) due.push(key);
    }
    this.#wait();
    for (const key of due) this.#due(key);
  }

  #wait(): void {
    this.close();
    const times = [...this.#entries.values()].flatMap(({ at }) => at ?? []);
    if (times.length === 0) return;
    const ms = Math.max(0, Math.min(...times) - this.#now());
    this.#timer = setTimeout(() => this.look(), Math.min(ms, LOOK_MS));
    this.#timer.unref();
  }
}

/** Also null for what is no pattern: one app must not keep all others from being looked after. */
function nextTime(pattern: string, now: number): number | null {
  try {
    return new Cron(pattern, { paused: true }).nextRun(new Date(now))?.getTime() ?? null;
  } catch {
    return null;
  }
}
