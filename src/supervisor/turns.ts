/** So long may be worked before all else gets its turn: apps that write, crash or ask. */
const TURN_MS = 20;

/**
 * Spreads work on many instances over several turns of the event loop. Who comes first goes first, so that a stop does
 * not overtake the start before it.
 */
export class Turns {
  readonly #now: () => number;
  readonly #turnMs: number;
  #last: Promise<void> = Promise.resolve();
  #isOpen = false;
  #endsAt = 0;

  /** @param now in milliseconds. */
  constructor(now: () => number, turnMs = TURN_MS) {
    this.#now = now;
    this.#turnMs = turnMs;
  }

  /** Resolves when there is time: at once, or in one of the next turns. */
  take(): Promise<void> {
    this.#last = this.#last.then(async () => {
      if (this.#isOpen && this.#now() >= this.#endsAt) await nextTurn();
      if (this.#isOpen) return;
      this.#isOpen = true;
      this.#endsAt = this.#now() + this.#turnMs;
      setImmediate(() => {
        this.#isOpen = false;
      });
    });
    return this.#last;
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
