import type { AppSpec } from '../domain/app-spec.ts';
import { UpkeepError } from '../protocol/errors.ts';

/** Of all specs together, as JSON: more than any machine runs. */
const MOST_BYTES = 256 * 1024 * 1024;

/** The specs that have come over one connection for an `apply` that is still to come. They end with either. */
export class Staged {
  #specs: AppSpec[] = [];
  #bytes = 0;

  /** @throws UpkeepError TOO_LARGE. */
  add(specs: readonly AppSpec[]): void {
    this.#bytes += JSON.stringify(specs).length;
    if (this.#bytes > MOST_BYTES) {
      this.take();
      throw new UpkeepError('TOO_LARGE', `the apps of one command may have ${MOST_BYTES / 1024 ** 2} MiB at most`);
    }
    for (const spec of specs) this.#specs.push(spec);
  }

  take(): readonly AppSpec[] {
    const specs = this.#specs;
    this.#specs = [];
    this.#bytes = 0;
    return specs;
  }
}
