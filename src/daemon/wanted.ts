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

  /** For what ends processes, and so must work on a full disk too: then it is done all the same, and told. */
  async saveAnd<T>(act: () => Promise<T>): Promise<T> {
    const failed = await this.save(() => {}).then(
      () => null,
      (error: Error) => error,
    );
    const result = await act();
    if (!failed) return result;
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

  /** Keeps, for a rollback, what served before changes that have succeeded. */
  async remember(before: readonly AppRecord[], outcomes: readonly Outcome[]): Promise<void> {
    const failed = new Set(outcomes.filter(({ ok }) => !ok).map(({ name }) => name));
    const text = (spec: AppSpec): string => JSON.stringify({ ...spec, instances: 0 });
    const mended = before.filter(({ spec, failedReload }) => failedReload !== null && !failed.has(spec.name));
    for (const { key } of mended) this.#registry.note(key, { failedReload: null });
    const changed = before.filter(({ key, spec }) => {
      const now = this.#registry.byKey(key)?.spec;
      return now && !failed.has(spec.name) && text(now) !== text(spec);
    });
    for (const { key, spec } of changed) this.#registry.note(key, { previous: spec });
    if (mended.length + changed.length > 0) await this.saveAfterwards();
  }

  /** A spec whose change was refused, or whose reload failed, is not wanted any more. @returns whether there was one. */
  async undo(kind: OperationKind, before: readonly AppRecord[], outcomes: readonly Outcome[]): Promise<boolean> {
    const isLost = ({ ok, refused }: Outcome): boolean => refused === true || (kind === 'reload' && !ok);
    const of = ({ slots }: AppRecord): readonly Outcome[] =>
      outcomes.filter((outcome) => slots.some(({ id }) => id === outcome.id));
    const undone = before.filter((app) => this.#registry.byKey(app.key) && of(app).some(isLost));
    for (const app of undone) {
      const { spec } = this.#registry.update(app.key, app.spec).record;
      if (of(app).some(({ refused }) => refused)) continue;
      const isMixed = spec.mode === 'fork' || spec.rollout.maxUnavailable > 0 || of(app).some(({ ok }) => ok);
      this.#registry.note(app.key, { failedReload: isMixed ? 'mixed' : 'spared' });
    }
    if (undone.length > 0) await this.saveAfterwards();
    return undone.length > 0;
  }
}
