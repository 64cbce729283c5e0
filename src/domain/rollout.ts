/**
 * Replaces instances, as a pure machine: new ones are started beside the old ones, and only when a new one is ready is
 * its old one drained; or, as far as instances may be unavailable, an old one goes first and its new one takes its
 * place. The first new one is on trial: no other is begun until it is ready, which whoever drives this says when the trial
 * is over. One that fails, then or later, ends the rollout; what is old stays.
 *
 * Drains overlap with the next starts, so that the time for N instances grows with start-up and not with drains.
 */
export interface Rollout {
  readonly limits: RolloutLimits;
  /** The first new instance is not ready yet: it is alone until it is. */
  readonly onTrial: boolean;
  /** Ids still to be replaced, in order. */
  readonly waiting: readonly number[];
  /** Whose new instance starts beside the old one. */
  readonly starting: readonly number[];
  /** Whose old instance went first. */
  readonly inPlace: readonly number[];
  readonly draining: readonly number[];
  readonly done: readonly number[];
  readonly failure: RolloutFailure | null;
}

/** How many may be under way at a time; one of them is at least 1. */
export interface RolloutLimits {
  readonly maxSurge: number;
  readonly maxUnavailable: number;
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
  /** Drain the instance of this id, then start a new one in its place. */
  | { readonly kind: 'replace'; readonly id: number }
  /** The new instance takes the id over; the old one finishes and goes. */
  | { readonly kind: 'drain'; readonly id: number }
  /** End the new instance of this id, which is not ready; the old one stays. */
  | { readonly kind: 'discard'; readonly id: number };

export interface RolloutStep {
  readonly rollout: Rollout;
  readonly effects: readonly RolloutEffect[];
}

export function beginRollout(ids: readonly number[], limits: RolloutLimits): RolloutStep {
  const none = { starting: [], inPlace: [], draining: [], done: [], failure: null };
  return startMore({ limits, onTrial: true, waiting: ids, ...none }, []);
}

export function isOver({ waiting, starting, inPlace, draining, failure }: Rollout): boolean {
  const underWay = starting.length + inPlace.length + draining.length;
  return underWay === 0 && (waiting.length === 0 || failure !== null);
}

export function stepRollout(rollout: Rollout, event: RolloutEvent): RolloutStep {
  switch (event.kind) {
    case 'ready': {
      const { id } = event;
      const next = { ...rollout, onTrial: false };
      if (rollout.starting.includes(id)) {
        const { starting, draining } = rollout;
        return startMore({ ...next, starting: without(starting, id), draining: [...draining, id] }, [
          { kind: 'drain', id },
        ]);
      }
      if (!rollout.inPlace.includes(id)) return { rollout, effects: [] };
      return startMore({ ...next, inPlace: without(rollout.inPlace, id), done: [...rollout.done, id] }, []);
    }
    case 'failed': {
      const { id, reason } = event;
      if (!rollout.starting.includes(id) && !rollout.inPlace.includes(id)) return { rollout, effects: [] };
      return fail({ ...rollout, inPlace: without(rollout.inPlace, id) }, { id, reason });
    }
    case 'drained': {
      const { id } = event;
      if (!rollout.draining.includes(id)) return { rollout, effects: [] };
      const draining = without(rollout.draining, id);
      return { rollout: { ...rollout, draining, done: [...rollout.done, id] }, effects: [] };
    }
    case 'abort':
      if (rollout.failure || isOver(rollout)) return { rollout, effects: [] };
      return fail(rollout, { id: null, reason: event.reason });
  }
}

/** What starts beside an old one is given up; what has taken the place of one goes on. */
function fail(rollout: Rollout, failure: RolloutFailure): RolloutStep {
  const effects = rollout.starting.map((id): RolloutEffect => ({ kind: 'discard', id }));
  return { rollout: { ...rollout, starting: [], failure: rollout.failure ?? failure }, effects };
}

function startMore(rollout: Rollout, effects: readonly RolloutEffect[]): RolloutStep {
  const { limits, onTrial, starting, inPlace } = rollout;
  const [id, ...waiting] = rollout.waiting;
  if (id === undefined || rollout.failure || (onTrial && starting.length + inPlace.length > 0)) {
    return { rollout, effects };
  }
  if (starting.length < limits.maxSurge) {
    return startMore({ ...rollout, waiting, starting: [...starting, id] }, [...effects, { kind: 'spawn', id }]);
  }
  if (inPlace.length < limits.maxUnavailable) {
    return startMore({ ...rollout, waiting, inPlace: [...inPlace, id] }, [...effects, { kind: 'replace', id }]);
  }
  return { rollout, effects };
}

function without(ids: readonly number[], gone: number): readonly number[] {
  return ids.filter((id) => id !== gone);
}
