import type { AppSpec } from '../domain/app-spec.ts';
import type { LastExit } from '../domain/instance.ts';
import type { AppRecord, AppSnapshot, InstanceSnapshot, Slot, Successor } from '../protocol/messages.ts';
import type { Illness } from './health-watch.ts';
import type { InstanceEntry, PlaceEntry } from './ledger-entries.ts';
import { ManagedInstance, type ManagedInstanceOptions } from './managed-instance.ts';
import type { Pipes, Ports } from './ports.ts';

/** What fills one slot: the instance that serves, and what comes before or after it during a reload. */
interface Place {
  slot: Slot;
  current: ManagedInstance;
  candidate: ManagedInstance | null;
  /** That candidate is watched before others follow. */
  isCanary: boolean;
  readonly draining: Set<ManagedInstance>;
  /** The last of all processes of this place, the newest first. */
  exits: readonly LastExit[];
}

/** That many are kept of each place. */
const EXITS = 10;

/** Of the exit of what was to replace an instance. */
const NEVER_TOOK_OVER = 'a new one that did not take over';

const SETTLED: ReadonlySet<string> = new Set(['online', 'stopped', 'errored']);

/** Many at once, which is cheaper. Where they cannot be made, each start tells. */
export function reservePipes({ logs }: Ports, instances: number): void {
  try {
    logs.reserve(instances);
  } catch {
    // See above.
  }
}

/** One app with its instances. It knows no operations, only who is in which place. */
export class ManagedApp {
  record: AppRecord;
  readonly #ports: Ports;
  readonly #places = new Map<number, Place>();
  readonly #onChange: (id: number) => void;
  readonly #onIll: (id: number, illness: Illness) => void;
  #generation = 1;

  /**
   * @param onChange called with the id of a slot whenever anything about it changed.
   * @param onIll called at each sign that the instance that serves there is not well.
   */
  constructor(
    ports: Ports,
    record: AppRecord,
    onChange: (id: number) => void,
    onIll: (id: number, illness: Illness) => void,
  ) {
    this.#ports = ports;
    this.record = record;
    this.#onChange = onChange;
    this.#onIll = onIll;
  }

  get ids(): readonly number[] {
    return [...this.#places.keys()];
  }

  /** No instance is about to start, or to start again. */
  get isSettled(): boolean {
    return this.ids.every((id) => {
      const { current, candidate } = this.#place(id);
      return !candidate && SETTLED.has(current.instance.state.kind);
    });
  }

  get isRunning(): boolean {
    return this.ids.some((id) => this.occupants(id).some(({ pid }) => pid !== null));
  }

  has(id: number): boolean {
    return this.#places.has(id);
  }

  /** @throws Error for an id that is not here: a bug of the caller. */
  current(id: number): ManagedInstance {
    return this.#place(id).current;
  }

  candidate(id: number): ManagedInstance | null {
    return this.#places.get(id)?.candidate ?? null;
  }

  /** Makes a place for each slot of the record that has none yet. */
  addPlaces(record: AppRecord): void {
    const missing = record.slots.filter(({ id }) => !this.#places.has(id));
    if (missing.length > 0) reservePipes(this.#ports, missing.length);
    const running = this.ids.map((id) => this.current(id)).filter(({ instance }) => instance.state.kind === 'online');
    const mustListen = running.length > 0 && running.every(({ listens }) => listens.length > 0);
    for (const slot of missing) {
      const current = this.#instance(record.spec, slot, { mustListen });
      this.#places.set(slot.id, { slot, current, candidate: null, isCanary: false, draining: new Set(), exits: [] });
    }
  }

  /** Takes up a place that another supervisor has left; `goOn` follows. @returns the pipes that are still in use. */
  adoptPlace({ slot, current: entry, candidate, draining, exits }: PlaceEntry, handedOver: boolean): readonly Pipes[] {
    this.#generation = Math.max(this.#generation, entry.generation);
    const make = ({ spec, generation, listens }: InstanceEntry): ManagedInstance =>
      this.#instance(spec ?? this.record.spec, slot, { generation, mustListen: listens.length > 0 });
    const leaving = [...draining, ...(candidate ? [mayServe(candidate)] : [])];
    const old = new Set(leaving.map(make));
    const place: Place = { slot, current: make(entry), candidate: null, isCanary: false, draining: old, exits };
    this.#places.set(slot.id, place);
    const pipes = [
      place.current.adopt(entry, handedOver),
      ...[...place.draining].map((old, at) => old.adopt(leaving[at] as InstanceEntry, handedOver)),
    ];
    return pipes.filter((pair) => pair !== null);
  }

  /** Goes on with all that was adopted. */
  goOn(): void {
    for (const place of this.#places.values()) {
      for (const old of place.draining) {
        old.goOn();
        this.#retire(place, old);
        const { kind } = old.instance.state;
        // A candidate: what was told to end before goes on with that.
        if (kind === 'starting' || kind === 'online')
          old.send({ kind: 'stop', how: 'covered', why: 'its reload was cut short' });
      }
      place.current.goOn();
    }
  }

  placeEntry(id: number): PlaceEntry {
    const { slot, current, candidate, draining, exits } = this.#place(id);
    const { spec } = this.record;
    const old = [...draining].map((instance) => instance.entry(spec));
    const fresh = candidate?.entry(spec) ?? null;
    return { key: this.record.key, slot, current: current.entry(spec), candidate: fresh, draining: old, exits };
  }

  nextGeneration(): void {
    this.#generation++;
  }

  /** A new instance beside the current one, meant to replace it. */
  addCandidate(id: number, spec: AppSpec, isCanary: boolean): ManagedInstance {
    const place = this.#place(id);
    const { current, slot } = place;
    place.candidate = this.#instance(spec, slot, {
      trial: true,
      restarts: current.instance.restarts + 1,
      before: current.addresses,
    });
    place.isCanary = isCanary;
    return place.candidate;
  }

  /** The candidate serves from now on. @returns the instance it replaced, to be stopped. */
  promote(id: number): ManagedInstance {
    const place = this.#place(id);
    const old = place.current;
    if (!place.candidate) throw new Error(`instance ${id} has no candidate`);
    place.current = place.candidate;
    place.candidate = null;
    place.current.send({ kind: 'took-over' });
    this.#retire(place, old);
    this.#onChange(id);
    return old;
  }

  /** Takes a candidate that failed out of its place. @returns it, to be stopped. */
  dropCandidate(id: number): ManagedInstance | null {
    const place = this.#places.get(id);
    const candidate = place?.candidate ?? null;
    if (place && candidate) {
      place.candidate = null;
      this.#retire(place, candidate);
    }
    return candidate;
  }

  /** Everything that may have a process in this slot. */
  occupants(id: number): readonly ManagedInstance[] {
    const { current, candidate, draining } = this.#place(id);
    return [current, ...(candidate ? [candidate] : []), ...draining];
  }

  remove(id: number): void {
    for (const instance of this.occupants(id)) instance.dispose();
    this.#places.delete(id);
    this.record = { ...this.record, slots: this.record.slots.filter((slot) => slot.id !== id) };
  }

  snapshot(): AppSnapshot {
    return { app: this.record, instances: this.ids.map((id) => this.instanceSnapshot(id)) };
  }

  instanceSnapshot(id: number): InstanceSnapshot {
    const { current, draining, slot, exits } = this.#place(id);
    const { state, restarts, history, lastExit } = current.instance;
    return {
      key: this.record.key,
      id,
      index: slot.index,
      state,
      restarts,
      unstable: history.unstable,
      lastExit,
      exits,
      unhealthy: current.illness?.reason ?? null,
      lost: current.lost,
      listens: current.listens,
      draining: [...draining].flatMap((old) => old.pid ?? []),
      successor: successorOf(this.#place(id)),
      generation: current.generation,
    };
  }

  #instance(
    spec: AppSpec,
    slot: Slot,
    more: Partial<Pick<ManagedInstanceOptions, 'trial' | 'restarts' | 'before' | 'mustListen' | 'generation'>>,
  ): ManagedInstance {
    const onIll = (illness: Illness): void => {
      if (this.#places.get(slot.id)?.current === instance) this.#onIll(slot.id, illness);
    };
    const instance = new ManagedInstance(this.#ports, {
      spec,
      slot,
      generation: this.#generation,
      siblings: () => this.ids.filter((id) => id !== slot.id).map((id) => this.current(id)),
      onIll,
      ...more,
    });
    let lastExit: LastExit | null = null;
    instance.watch(() => {
      const place = this.#places.get(slot.id);
      const exit = instance.instance.lastExit;
      if (place && exit && exit !== lastExit) {
        const isNew = instance.generation > place.current.generation;
        const told = isNew ? { ...exit, reason: `${NEVER_TOOK_OVER}: ${exit.reason}` } : exit;
        // One that another supervisor has left is among them already.
        const isKnown = place.exits.some(({ at, reason }) => at === told.at && reason === told.reason);
        if (!isKnown) place.exits = [told, ...place.exits].slice(0, EXITS);
      }
      lastExit = exit;
      this.#onChange(slot.id);
    });
    return instance;
  }

  /** Keeps an instance among those that drain until nothing of it is left. */
  #retire(place: Place, instance: ManagedInstance): void {
    place.draining.add(instance);
    const check = (): void => {
      const { kind } = instance.instance.state;
      if ((kind !== 'stopped' && kind !== 'errored') || !place.draining.delete(instance)) return;
      // After all who watch have seen the end.
      queueMicrotask(() => {
        instance.dispose();
        this.#onChange(place.slot.id);
      });
    };
    instance.watch(check);
    check();
  }

  #place(id: number): Place {
    const place = this.#places.get(id);
    if (!place) throw new Error(`app ${this.record.spec.name} has no instance ${id}`);
    return place;
  }
}

function successorOf({ candidate, isCanary }: Place): Successor | null {
  if (!candidate) return null;
  const watched = isCanary ? 'canary' : 'ready';
  return { pid: candidate.pid, stage: candidate.instance.state.kind === 'online' ? watched : 'starting' };
}

/** It may listen, and have connections, although its supervisor was not told before it was killed. */
function mayServe(entry: InstanceEntry): InstanceEntry {
  const { state } = entry.instance;
  if (state.kind !== 'starting') return entry;
  return { ...entry, instance: { ...entry.instance, state: { ...state, listening: true } } };
}
