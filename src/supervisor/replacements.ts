/** How the replacements of one instance went. */
interface Replacements {
  /** In a row, that did not help. */
  readonly failed: number;
  readonly notBefore: number;
}

/** A replacement of an instance that was well for less than this has not helped. */
const HEALTHY_FOR_MS = 60_000;
const FIRST_PAUSE_MS = 5000;
const LONGEST_PAUSE_MS = 600_000;

/**
 * When an instance that is not well may be replaced. What did not help is not followed by the next at once: each pause
 * is twice the one before. Each instance has its own, so that one that is always ill keeps no other from its turn.
 */
export class ReplacementPace {
  readonly #byId = new Map<number, Replacements>();

  /** @param wellMs how long it had been well. */
  isDue(id: number, now: number, wellMs: number): boolean {
    return wellMs >= HEALTHY_FOR_MS || now >= this.dueAt(id);
  }

  /** From when on it may be replaced, where the last time has not helped. */
  dueAt(id: number): number {
    return this.#byId.get(id)?.notBefore ?? 0;
  }

  /** It was replaced, or that was tried. */
  replaced(id: number, now: number, { ok, wellMs }: { readonly ok: boolean; readonly wellMs: number }): void {
    const before = this.#byId.get(id)?.failed ?? 0;
    const failed = ok && wellMs >= HEALTHY_FOR_MS ? 0 : before + 1;
    const pauseMs = failed === 0 ? 0 : Math.min(FIRST_PAUSE_MS * 2 ** (failed - 1), LONGEST_PAUSE_MS);
    this.#byId.set(id, { failed, notBefore: now + pauseMs });
  }

  /** What was is of no account any more, as after a command. */
  forget(id: number): void {
    this.#byId.delete(id);
  }
}
