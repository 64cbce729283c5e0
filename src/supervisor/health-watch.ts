import type { Check, LivenessSpec } from '../domain/app-spec.ts';
import type { Clock } from './ports.ts';

/** Why an instance is not well, as one sign tells it. */
export interface Sign {
  readonly reason: string;
  /** It answers nothing, so that there is no sense in letting it finish. */
  readonly stuck: boolean;
}

export interface Illness extends Sign {
  /** When the first sign came. */
  readonly since: number;
}

export interface Polling {
  readonly intervalMs: number;
  /** Before the first question. */
  readonly firstMs: number;
}

/** Asks again and again, one question at a time. @returns what ends that. */
export function poll(clock: Clock, { intervalMs, firstMs }: Polling, ask: () => Promise<void>): () => void {
  let ended = false;
  let drop: () => void = () => {};
  const again = (ms: number): void => {
    drop = clock.after(ms, () => {
      void ask().then(() => {
        if (!ended) again(intervalMs);
      });
    });
  };
  again(firstMs);
  return () => {
    ended = true;
    drop();
  };
}

export interface HealthPorts {
  readonly ask: (check: Check) => Promise<string | null>;
  readonly ping: () => void;
  /** Where its event loop stands; null where that cannot be told. */
  readonly stack: () => Promise<string | null>;
}

/** Watches one instance that is online: its answers, and whether its event loop turns. */
export class HealthWatch {
  readonly #clock: Clock;
  readonly #spec: LivenessSpec;
  readonly #ends: (() => void)[] = [];
  readonly #tell: (sign: Sign | null) => void;
  #failures = 0;
  /** When the ping was sent that is not answered yet. */
  #pingAt: number | null = null;

  /** @param tell called at each failure from `failures` in a row on, and with null when it is well again. */
  constructor(clock: Clock, spec: LivenessSpec, ports: HealthPorts, tell: (sign: Sign | null) => void) {
    this.#clock = clock;
    this.#spec = spec;
    this.#tell = tell;
    const { check, intervalMs, eventLoopMs } = spec;
    if (check) {
      const ask = async (): Promise<void> => this.#answered(await ports.ask(check));
      this.#ends.push(poll(clock, { intervalMs, firstMs: intervalMs }, ask));
    }
    if (eventLoopMs !== null) this.#watchLoop(eventLoopMs, ports);
  }

  /** The event loop has turned. */
  pong(): void {
    this.#pingAt = null;
  }

  end(): void {
    for (const end of this.#ends.splice(0)) end();
  }

  #answered(reason: string | null): void {
    const before = this.#failures;
    this.#failures = reason === null ? 0 : before + 1;
    if (reason === null && before >= this.#spec.failures) this.#tell(null);
    if (reason !== null && this.#failures >= this.#spec.failures) this.#tell({ reason, stuck: false });
  }

  #watchLoop(limitMs: number, { ping, stack }: HealthPorts): void {
    /** Of the ping that is not answered: it is looked for once. */
    let where: { readonly ofPingAt: number; readonly place: string | null } | null = null;
    const everyMs = Math.max(limitMs / 4, 250);
    let expectedAt = this.#clock.now() + everyMs;
    const look = async (): Promise<void> => {
      const now = this.#clock.now();
      // This process stood still itself: answers may be waiting that it has not read.
      if (now > expectedAt + everyMs) this.#pingAt = null;
      expectedAt = now + everyMs;
      if (this.#pingAt === null) {
        this.#pingAt = now;
        return ping();
      }
      if (now - this.#pingAt < limitMs) return;
      if (where?.ofPingAt !== this.#pingAt) where = { ofPingAt: this.#pingAt, place: await stack() };
      expectedAt = this.#clock.now() + everyMs;
      // It turned meanwhile, or is watched no more.
      if (this.#pingAt === null || this.#ends.length === 0) return;
      const place = where.place === null ? '' : `, in ${where.place}`;
      this.#tell({ reason: `its event loop stood still for ${limitMs} ms${place}`, stuck: true });
    };
    this.#ends.push(poll(this.#clock, { intervalMs: everyMs, firstMs: everyMs }, look));
  }
}
