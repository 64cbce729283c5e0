import { randomBytes } from 'node:crypto';

/** Who learns the keys can read what was said in sessions of this time. */
const ROTATE_MS = 24 * 3_600_000;
/** As OpenSSL wants them: a name, and keys for HMAC and AES. */
const BYTES = 48;

/**
 * The keys by which all workers of an app resume each other's TLS sessions. They are kept in memory only; workers hand them
 * to the next supervisor.
 */
export class TicketKeys {
  readonly #changed: (keys: string) => void;
  #keys: string | null = null;
  #rotating: NodeJS.Timeout | null = null;

  /** @param changed is called with new ones, which count from then on. */
  constructor(changed: (keys: string) => void) {
    this.#changed = changed;
  }

  get(): string {
    this.#keys ??= fresh();
    this.#rotating ??= setInterval(() => {
      this.#keys = fresh();
      this.#changed(this.#keys);
    }, ROTATE_MS).unref();
    return this.#keys;
  }

  /** A worker of another supervisor has these. @returns those that count. */
  adopt(keys: string): string {
    this.#keys ??= keys;
    return this.get();
  }

  /** Nobody needs them any more. */
  drop(): void {
    if (this.#rotating) clearInterval(this.#rotating);
    this.#rotating = null;
    this.#keys = null;
  }
}

function fresh(): string {
  return randomBytes(BYTES).toString('base64');
}
