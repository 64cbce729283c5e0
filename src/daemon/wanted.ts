import { isDeepStrictEqual } from 'node:util';
import type { AppSpec } from '../domain/app-spec.ts';
import { inRelease } from '../domain/release.ts';
import { UpkeepError } from '../protocol/errors.ts';
import type { AppRecord, OperationKind, Outcome } from '../protocol/messages.ts';
import { type Journal, remedyOf } from './journal.ts';
import type { DaemonPorts } from './ports.ts';
import type { Registry } from './registry.ts';

/** What is wanted, as changes to it are begun, saved, taken back, and remembered. */
export class Wanted {
  readonly #ports: DaemonPorts;
  readonly #registry: Registry;
  readonly #journal: Journal;
  readonly #onChange: () => void;

  /** @param onChange is called whenever the registry has changed. */
  constructor(ports: DaemonPorts, registry: Registry, journal: Journal, onChange: () => void) {
    this.#ports = ports;
    this.#registry = registry;
    this.#journal = journal;
    this.#onChange = onChange;
  }

  /** Before anything is done. @param undo takes back what cannot be saved, and so is not done. */
  async save(undo: () => void): Promise<void> {
    this.#onChange();
    try {
      await this.#journal.save();
    } catch (error) {
      undo();
      this.#onChange();
      throw error;
    }
  }

  /** What was done is true, saved or not; the journal tries again. */
  async saveAfterwards(): Promise<void> {
    await this.save(() => {}).catch((error: Error) => this.#ports.log(error.message));
  }

  /**
   * For what ends processes, and so must work on a full disk too: then it is done all the same, and told.
   * @param isDone of what it came to: what was not done tells that itself.
   */
  async saveAnd<T>(act: () => Promise<T>, isDone: (result: T) => boolean = () => true): Promise<T> {
    const failed = await this.save(() => {}).then(
      () => null,
      (error: Error) => error,
    );
    const result = await act();
    if (!failed || !isDone(result)) return result;
    throw new UpkeepError('STATE_UNSAVED', `it was done, but ${failed.message}`, {
      cause: failed,
      hint: `${remedyOf(failed.cause)}: until it is saved, a new daemon would not know of it; the save is tried again all the time`,
    });
  }

  putBack(records: readonly AppRecord[]): void {
    for (const record of records) this.#registry.restore(record);
  }

  /** Follows symbolic links anew: what is begun from here on runs in what they lead to now. */
  inRelease(spec: AppSpec): AppSpec {
    return inRelease(spec, this.#ports.resolveLinks);
  }

  /** Gives an app another spec. Until that has come in, what served last is kept. @returns the ids that it lost. */
  begin(app: AppRecord, spec: AppSpec): readonly number[] {
    const { removed } = this.#registry.update(app.key, spec);
    const served = lastServed(app);
    if (!isSame(app.spec, spec)) {
      this.#registry.note(app.key, { unproven: served && isSame(served, spec) ? null : { served } });
    }
    return removed;
  }

  /** What serves now is the truth, should a change have been cut short. */
  restoreAs(app: AppRecord, serves: AppSpec): void {
    const spec = { ...serves, instances: app.slots.length };
    const unproven = app.unproven?.served && isSame(app.unproven.served, spec) ? null : app.unproven;
    this.#registry.restore({ ...app, spec, unproven });
  }

  /** A change has come in: what served before it is kept for a rollback. */
  prove(app: AppRecord): void {
    const now = this.#registry.byKey(app.key);
    if (!now) return;
    const served = lastServed(app);
    const previous = served && !isSame(served, now.spec) ? served : now.previous;
    this.#registry.note(app.key, { previous, unproven: null, failedReload: null });
  }

  /**
   * Ends changes by how they went. One that was refused, or a reload that failed and left what served in its place, is
   * taken back: it is not wanted any more. After any other that failed, what served last is what a rollback goes to.
   * @returns whether something was taken back.
   */
  async settle(kind: OperationKind, changes: readonly Begun[], outcomes: readonly Outcome[]): Promise<boolean> {
    let takenBack = false;
    let noted = false;
    for (const { before, after } of changes) {
      const now = this.#registry.byKey(before.key);
      // Another change has come since, and called this one off: how that ends is what counts.
      if (!now || !isSame(now.spec, after.spec)) continue;
      const own = outcomes.filter(({ id }) => before.slots.some((slot) => slot.id === id));
      const failed = own.filter(({ ok }) => !ok);
      const refused = failed.some((outcome) => outcome.refused);
      if (refused || (kind === 'reload' && failed.some(({ replaced }) => !replaced))) {
        takenBack = true;
        this.#registry.update(before.key, before.spec);
        const isMixed = own.some(({ ok, replaced }) => ok || replaced);
        const failedReload = refused ? before.failedReload : isMixed ? 'mixed' : 'spared';
        this.#registry.note(before.key, { unproven: before.unproven, failedReload });
      } else if (failed.length > 0) this.#registry.note(before.key, { failedReload: null });
      else this.prove(before);
      noted ||= !isDeepStrictEqual(this.#registry.byKey(before.key), now);
    }
    if (noted) await this.saveAfterwards();
    return takenBack;
  }

  /** New apps that have failed: what never served is nothing to go back to. */
  async settleNew(added: readonly AppRecord[], outcomes: readonly Outcome[]): Promise<void> {
    const failed = added.filter(({ slots }) =>
      outcomes.some(({ id, ok }) => !ok && slots.some((slot) => slot.id === id)),
    );
    for (const { key } of failed) this.#registry.note(key, { unproven: { served: null } });
    if (failed.length > 0) await this.saveAfterwards();
  }
}

/** A change of one app, as its record was and became. */
export interface Begun {
  readonly before: AppRecord;
  readonly after: AppRecord;
}

function lastServed({ spec, unproven }: AppRecord): AppSpec | null {
  return unproven ? unproven.served : spec;
}

/** @returns whether they differ in their number of instances at most. */
function isSame(a: AppSpec, b: AppSpec): boolean {
  const text = (spec: AppSpec): string => JSON.stringify({ ...spec, instances: 0 });
  return text(a) === text(b);
}
