import type { RestartSpec } from './app-spec.ts';

/** How a process ended. `signal` is set when a signal killed it, and then `code` is null. */
export interface Exit {
  readonly code: number | null;
  readonly signal: string | null;
  /** The kernel, or V8 at the limit of its heap, ended it for want of memory. */
  readonly outOfMemory?: boolean;
  /** It ended while its supervisor was away, or was another's child: nobody was told how. */
  readonly unseen?: boolean;
  /** It ended well, and what it had started went on: mostly a program that puts itself into the background. */
  readonly leftOthers?: boolean;
}

/** What the policy remembers of the runs before. */
export interface RestartHistory {
  /** Unstable runs in a row. */
  readonly unstable: number;
  /** The last delay of the exponential backoff, 0 at first. */
  readonly backoffMs: number;
  /** Tries in a row to start a process for which the machine was short of something. */
  readonly shortages: number;
  /** How often it was given up since its last stable run; not in what an older supervisor has left. */
  readonly givenUp: number;
}

export interface Run {
  readonly exit: Exit;
  readonly uptimeMs: number;
  readonly wasReady: boolean;
}

export type RestartDecision =
  | { readonly kind: 'restart'; readonly delayMs: number; readonly reason: string; readonly history: RestartHistory }
  | { readonly kind: 'stop'; readonly reason: string }
  /** `nextTryMs`: in how long it is tried again all the same; null for never. */
  | {
      readonly kind: 'give-up';
      readonly reason: string;
      readonly nextTryMs: number | null;
      readonly history: RestartHistory;
    };

export const FRESH_HISTORY: RestartHistory = { unstable: 0, backoffMs: 0, shortages: 0, givenUp: 0 };

const BACKOFF_FACTOR = 1.5;
const BACKOFF_CAP_MS = 15_000;
/** A run of this length ends the backoff. */
const BACKOFF_RESET_MS = 30_000;

/** So many unstable runs in a row are followed by the next at once. */
const AT_ONCE = 3;
/** Then the waits grow: up to the sixteenth run they are about twenty seconds together, as a database may take to be back. */
const FIRST_WAIT_MS = 100;
const WAIT_FACTOR = 1.46;
const LONGEST_WAIT_MS = 10_000;

/** One that was given up is tried again after this, and each time after twice as long. */
const FIRST_RETRY_MS = 60_000;
const LONGEST_RETRY_MS = 900_000;

/** No process could be made, or none had been yet. */
export function neverRan({ code, signal, unseen }: Exit): boolean {
  return code === null && signal === null && !unseen;
}

/** @returns `code 1` or `signal SIGKILL`, as every message tells an exit. */
export function describeExit(exit: Exit): string {
  if (exit.unseen) return 'an exit that nobody saw';
  if (neverRan(exit)) return 'no process';
  const how = exit.signal ? `signal ${exit.signal}` : `code ${exit.code}`;
  if (exit.leftOthers) return `${how}, leaving processes behind`;
  return exit.outOfMemory ? `${how}, out of memory` : how;
}

/**
 * Whether and when an instance whose process ended by itself is started again.
 * @param chance of that instance, 0 to 1: those that fail for one reason are not all started at the same moment.
 */
export function decideRestart(spec: RestartSpec, history: RestartHistory, run: Run, chance: number): RestartDecision {
  const how = `exited with ${describeExit(run.exit)}`;
  if (run.exit.code !== null && spec.stopExitCodes.includes(run.exit.code)) {
    return { kind: 'stop', reason: `${how}, which is listed in stop_exit_codes` };
  }
  if (!spec.autorestart) {
    const reason = `${neverRan(run.exit) ? '' : `${how}; `}autorestart is off`;
    return run.exit.code === 0 ? { kind: 'stop', reason } : { kind: 'give-up', reason, nextTryMs: null, history };
  }

  const stable = run.wasReady && run.uptimeMs >= spec.minUptimeMs;
  const unstable = stable ? 0 : history.unstable + 1;
  const { givenUp } = history;
  if (!stable && unstable >= spec.maxRestarts) {
    const nextTryMs = spec.erroredRetry ? Math.min(FIRST_RETRY_MS * 2 ** givenUp, LONGEST_RETRY_MS) : null;
    const next = { ...history, unstable, givenUp: givenUp + 1 };
    return { kind: 'give-up', reason: tellUnstable(spec, unstable, run), nextTryMs, history: next };
  }
  const backoffMs = nextBackoff(spec, run.uptimeMs >= BACKOFF_RESET_MS ? 0 : history.backoffMs);
  const delayMs = spec.backoffMs > 0 ? backoffMs : spec.delayMs || growingWait(unstable, chance);
  const next = { unstable, backoffMs, shortages: 0, givenUp: stable ? 0 : givenUp };
  return { kind: 'restart', delayMs, reason: how, history: next };
}

/** Where no delay was asked for. */
function growingWait(unstable: number, chance: number): number {
  if (unstable <= AT_ONCE) return 0;
  const ms = Math.min(FIRST_WAIT_MS * WAIT_FACTOR ** (unstable - AT_ONCE - 1), LONGEST_WAIT_MS);
  return Math.round(ms * (0.5 + chance));
}

/** Of the runs before the last it is not known which of both they were. */
function tellUnstable({ minUptimeMs }: RestartSpec, count: number, { exit, uptimeMs }: Run): string {
  const short = `before ${minUptimeMs} ms of uptime`;
  const how = neverRan(exit) ? null : `with ${describeExit(exit)}`;
  if (count > 1) {
    return `${count} runs in a row ended before they were ready, or ${short}${how === null ? '' : `, the last ${how}`}`;
  }
  if (how === null) return 'the run could not be started';
  return `the run ended ${uptimeMs < minUptimeMs ? short : 'before it was ready'}, ${how}`;
}

function nextBackoff(spec: RestartSpec, lastMs: number): number {
  if (spec.backoffMs === 0) return 0;
  if (lastMs === 0) return Math.min(spec.backoffMs, BACKOFF_CAP_MS);
  return Math.min(Math.ceil(lastMs * BACKOFF_FACTOR), BACKOFF_CAP_MS);
}
