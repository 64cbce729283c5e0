/**
 * Replaces instances one after the other, as a pure machine: a new one is started beside the old one, and only when
 * the new one is ready is the old one drained. The first new one that fails ends the rollout; what is old stays.
 *
 * Drains overlap with the next start, so that the time for N instances grows with start-up and not with drains.
 */
export interface Rollout {
  /** Ids still to be replaced, in order. */
  readonly waiting: readonly number[];
  readonly starting: number | null;
  readonly draining: readonly number[];
  readonly done: readonly number[];
  readonly failure: RolloutFailure | null;
}

export interface RolloutFailure {
  /** The id whose new instance failed, or null when the rollout was called off. */
  readonly id: number | null;
  readonly reason: string;
}

export type RolloutEvent =
  | { readonly kind: 'ready'; readonly id: number }
  | { readonly kind: 'failed'; readonly id: number; readonly reason: string }
  | { readonly kind: 'drained'; readonly id: number }
  | { readonly kind: 'abort'; readonly reason: string };

export type RolloutEffect =
  /** Start a new instance for this id, beside the one that serves. */
  | { readonly kind: 'spawn'; readonly id: number }
  /** The new instance takes the id over; the old one finishes and goes. */
  | { readonly kind: 'drain'; readonly id: number }
  /** End the new instance of this id, which is not ready; the old one stays. */
  | { readonly kind: 'discard'; readonly id: number };

export interface RolloutStep {
  readonly rollout: Rollout;
  readonly effects: readonly RolloutEffect[];
}

export function beginRollout(ids: readonly number[]): RolloutStep {
  return startNext({ waiting: ids, starting: null, draining: [], done: [], failure: null }, []);
}

export function isOver({ waiting, starting, draining, failure }: Rollout): boolean {
  return starting === null && draining.length === 0 && (waiting.length === 0 || failure !== null);
}

export function stepRollout(rollout: Rollout, event: RolloutEvent): RolloutStep {
  switch (event.kind) {
    case 'ready': {
      if (rollout.starting !== event.id) return { rollout, effects: [] };
      const next = { ...rollout, starting: null, draining: [...rollout.draining, event.id] };
      return startNext(next, [{ kind: 'drain', id: event.id }]);
    }
    case 'failed':
      if (rollout.starting !== event.id) return { rollout, effects: [] };
      return {
        rollout: { ...rollout, starting: null, failure: { id: event.id, reason: event.reason } },
        effects: [{ kind: 'discard', id: event.id }],
      };
    case 'drained':
      if (!rollout.draining.includes(event.id)) return { rollout, effects: [] };
      return {
        rollout: {
          ...rollout,
          draining: rollout.draining.filter((id) => id !== event.id),
          done: [...rollout.done, event.id],
        },
        effects: [],
      };
    case 'abort':
      if (rollout.failure || isOver(rollout)) return { rollout, effects: [] };
      return {
        rollout: { ...rollout, starting: null, failure: { id: null, reason: event.reason } },
        effects: rollout.starting === null ? [] : [{ kind: 'discard', id: rollout.starting }],
      };
  }
}

function startNext(rollout: Rollout, effects: readonly RolloutEffect[]): RolloutStep {
  const [id, ...waiting] = rollout.waiting;
  if (id === undefined || rollout.failure) return { rollout, effects };
  return { rollout: { ...rollout, waiting, starting: id }, effects: [...effects, { kind: 'spawn', id }] };
}
