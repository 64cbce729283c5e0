import type { AppSpec } from '../domain/app-spec.ts';
import type { Instance, LastExit } from '../domain/instance.ts';
import type { AppRecord, Slot } from '../protocol/messages.ts';
import type { Pipes, RunIdentity } from './ports.ts';

/** What the next supervisor must know of one instance, to go on where this one ends. */
export interface InstanceEntry {
  /** null: that of its app. */
  readonly spec: AppSpec | null;
  readonly generation: number;
  /** Its policy follows from the spec. */
  readonly instance: Omit<Instance, 'policy'>;
  readonly run: RunIdentity | null;
  readonly pipes: Pipes | null;
  readonly listens: readonly string[];
}

/** Of one slot of an app. */
export interface PlaceEntry {
  readonly key: string;
  readonly slot: Slot;
  readonly current: InstanceEntry;
  /** What was about to replace it. That has failed; but it may serve already, and so it is drained. */
  readonly candidate: InstanceEntry | null;
  readonly draining: readonly InstanceEntry[];
  readonly exits: readonly LastExit[];
}

export interface LeftApp {
  readonly record: AppRecord;
  readonly places: readonly PlaceEntry[];
}

/** This supervisor ends as it was told to, with nothing in its hands. */
export const HANDED_OVER = 'handed-over';

export const appKey = (key: string): string => `app ${key}`;
export const placeKey = (id: number): string => `place ${id}`;

/** Reads what another supervisor has left. */
export function leftApps(entries: ReadonlyMap<string, unknown>): readonly LeftApp[] {
  const apps = new Map<string, { readonly record: AppRecord; readonly places: PlaceEntry[] }>();
  for (const [key, entry] of entries) {
    if (key.startsWith('app ')) apps.set((entry as AppRecord).key, { record: entry as AppRecord, places: [] });
  }
  for (const [key, entry] of entries) {
    if (key.startsWith('place ')) apps.get((entry as PlaceEntry).key)?.places.push(entry as PlaceEntry);
  }
  return [...apps.values()];
}
