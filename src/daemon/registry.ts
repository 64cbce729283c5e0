import type { AppSpec } from '../domain/app-spec.ts';
import { parseSelector, type Selectable, select } from '../domain/selector.ts';
import { UpkeepError } from '../protocol/errors.ts';
import type { AppRecord, Slot } from '../protocol/messages.ts';

/** One instance of one app, as selectors see it. */
export interface Place extends Selectable {
  readonly key: string;
}

/** What is wanted: the apps and the ids of their instances. Pure bookkeeping, saved by the journal. */
export class Registry {
  readonly #apps = new Map<string, AppRecord>();
  readonly #ids = new Set<number>();
  /** All ids below it are taken. */
  #firstFree = 0;
  #lastKey = 0;

  constructor(apps: readonly AppRecord[] = []) {
    for (const app of apps) this.#put(app);
  }

  get apps(): readonly AppRecord[] {
    return [...this.#apps.values()];
  }

  byKey(key: string): AppRecord | undefined {
    return this.#apps.get(key);
  }

  byName(name: string): AppRecord | undefined {
    for (const app of this.#apps.values()) if (app.spec.name === name) return app;
    return undefined;
  }

  /**
   * The instances that the targets mean, each once.
   * @throws UpkeepError APP_NOT_FOUND when one of them means nothing; USAGE for a bad regular expression.
   */
  select(targets: readonly string[]): readonly Place[] {
    const rows = this.apps.flatMap(({ key, spec, slots }) =>
      slots.map(({ id }) => ({ key, id, name: spec.name, namespace: spec.namespace })),
    );
    const chosen = new Map<number, Place>();
    for (const target of targets) {
      const found = select(parseTarget(target), rows);
      // Of nothing, all is nothing: a script that cleans up first must not fail.
      if (found.length === 0 && !(target === 'all' && rows.length === 0)) throw this.#notFound(target);
      for (const row of found) chosen.set(row.id, row);
    }
    return [...chosen.values()];
  }

  /** The apps of instances, each once. */
  appsOf(places: readonly Place[]): readonly AppRecord[] {
    return [...new Set(places.map(({ key }) => key))].flatMap((key) => this.byKey(key) ?? []);
  }

  add(spec: AppSpec, now: number, origin: string | null = null): AppRecord {
    const empty = {
      key: this.#newKey(now),
      spec,
      slots: [],
      createdAt: now,
      previous: null,
      unproven: null,
      failedReload: null,
      origin,
    };
    const record = this.#resized(empty, spec.instances);
    this.#put(record);
    return record;
  }

  /** Takes in an app that was saved once: under another key, and under its ids where they are free. */
  revive({ slots, ...saved }: AppRecord, now: number): AppRecord {
    const used = new Set(this.apps.flatMap((app) => app.slots).map(({ id }) => id));
    const record = { ...saved, key: this.#newKey(now), createdAt: now };
    const next = slots.some(({ id }) => used.has(id))
      ? this.#resized({ ...record, slots: [] }, slots.length)
      : { ...record, slots };
    const revived = { ...next, slots: next.slots.map((slot, at) => ({ ...slot, wanted: slots[at]?.wanted ?? 'up' })) };
    this.#put(revived);
    return revived;
  }

  /** Gives an app another spec, and as many slots as that asks for. @returns the record and the ids it lost. */
  update(key: string, spec: AppSpec): { record: AppRecord; removed: readonly number[] } {
    const before = this.#get(key);
    const record = this.#resized({ ...before, spec }, spec.instances);
    this.#put(record);
    const kept = new Set(record.slots.map(({ id }) => id));
    return { record, removed: before.slots.map(({ id }) => id).filter((id) => !kept.has(id)) };
  }

  /** Notes what served before, how a change failed, or where the app comes from. */
  note(key: string, notes: Partial<Pick<AppRecord, 'previous' | 'unproven' | 'failedReload' | 'origin'>>): void {
    const record = this.#apps.get(key);
    if (record) this.#put({ ...record, ...notes });
  }

  /** Puts back a record as it was, after a change that failed. */
  restore(record: AppRecord): void {
    this.#put(record);
  }

  /** Takes in what runs and was not known, or not so: what has its name or its ids gives way. */
  takeIn(record: AppRecord): void {
    const ids = record.slots.map(({ id }) => id);
    for (const other of this.apps) {
      if (other.key === record.key) continue;
      if (other.spec.name === record.spec.name) this.forget(other.key);
      else if (other.slots.some(({ id }) => ids.includes(id))) this.removeIds(other.key, ids);
    }
    this.#put(record);
  }

  forget(key: string): void {
    this.#drop(key);
  }

  want(key: string, ids: readonly number[], wanted: Slot['wanted']): AppRecord {
    const record = this.#get(key);
    const slots = record.slots.map((slot) => (ids.includes(slot.id) ? { ...slot, wanted } : slot));
    const next = { ...record, slots };
    this.#put(next);
    return next;
  }

  /** Forgets instances, and the app with its last one. @returns what is left of it. */
  removeIds(key: string, ids: readonly number[]): AppRecord {
    const record = this.#get(key);
    const slots = record.slots.filter(({ id }) => !ids.includes(id));
    const next = { ...record, spec: { ...record.spec, instances: slots.length }, slots };
    if (slots.length === 0) this.#drop(key);
    else this.#put(next);
    return next;
  }

  clear(): void {
    for (const key of this.#apps.keys()) this.#drop(key);
  }

  #get(key: string): AppRecord {
    const record = this.#apps.get(key);
    if (!record) throw new UpkeepError('APP_NOT_FOUND', 'the app was deleted by another command meanwhile');
    return record;
  }

  #put(record: AppRecord): void {
    this.#exchange(this.#apps.get(record.key)?.slots ?? [], record.slots);
    this.#apps.set(record.key, record);
  }

  #drop(key: string): void {
    this.#exchange(this.#apps.get(key)?.slots ?? [], []);
    this.#apps.delete(key);
  }

  #exchange(before: readonly Slot[], after: readonly Slot[]): void {
    for (const { id } of before) this.#ids.delete(id);
    for (const { id } of after) this.#ids.add(id);
    for (const { id } of before) if (!this.#ids.has(id)) this.#firstFree = Math.min(this.#firstFree, id);
    while (this.#ids.has(this.#firstFree)) this.#firstFree++;
  }

  /** Grows by the lowest free ids and indexes; shrinks from the highest index. */
  #resized(record: AppRecord, count: number): AppRecord {
    const slots = record.slots.toSorted((a, b) => a.index - b.index).slice(0, count);
    const wanted = record.spec.autostart || record.slots.some((slot) => slot.wanted === 'up') ? 'up' : 'down';
    const indexes = new Set(slots.map((slot) => slot.index));
    let [id, index] = [this.#firstFree, 0];
    for (; slots.length < count; id++, index++) {
      while (this.#ids.has(id)) id++;
      while (indexes.has(index)) index++;
      slots.push({ id, index, wanted });
    }
    slots.sort((a, b) => a.index - b.index);
    return { ...record, slots };
  }

  /** A key is never used twice, so that nothing left of a deleted app is taken for a new one. */
  #newKey(now: number): string {
    this.#lastKey = Math.max(now, this.#lastKey + 1);
    while (this.#apps.has(this.#lastKey.toString(36))) this.#lastKey++;
    return this.#lastKey.toString(36);
  }

  #notFound(target: string): UpkeepError {
    const names = this.apps.map(({ spec }) => spec.name);
    const there = names.length === 0 ? 'no app is registered' : `there are: ${names.slice(0, 20).join(', ')}`;
    const more = names.length > 20 ? ` and ${names.length - 20} more` : '';
    return new UpkeepError('APP_NOT_FOUND', `no app, namespace or id matches "${target}"; ${there}${more}`);
  }
}

function parseTarget(target: string): ReturnType<typeof parseSelector> {
  try {
    return parseSelector(target);
  } catch (cause) {
    throw new UpkeepError('USAGE', `${target} is not a regular expression: ${(cause as Error).message}`, { cause });
  }
}
