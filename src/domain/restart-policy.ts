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
}

export interface Run {
  readonly exit: Exit;
  readonly uptimeMs: number;
  readonly wasReady: boolean;
}

export type RestartDecision =
  | { readonly kind: 'restart'; readonly delayMs: number; readonly reason: string; readonly history: RestartHistory }
  | { readonly kind: 'stop'; readonly reason: string }
  | { readonly kind: 'give-up'; readonly reason: string };

export const FRESH_HISTORY: RestartHistory = { unstable: 0, backoffMs: 0, shortages: 0 };

const BACKOFF_FACTOR = 1.5;
const BACKOFF_CAP_MS = 15_000;
/** A run of this length ends the backoff. */
const BACKOFF_RESET_MS = 30_000;

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

/** Whether and when an instance whose process ended by itself is started again. */
export function decideRestart(spec: RestartSpec, history: RestartHistory, run: Run): RestartDecision {
  const how = `exited with ${describeExit(run.exit)}`;
  if (run.exit.code !== null && spec.stopExitCodes.includes(run.exit.code)) {
    return { kind: 'stop', reason: `${how}, which is listed in stop_exit_codes` };
  }
  if (!spec.autorestart) {
    const reason = `${neverRan(run.exit) ? '' : `${how}; `}autorestart is off`;
    return { kind: run.exit.code === 0 ? 'stop' : 'give-up', reason };
  }

  const stable = run.wasReady && run.uptimeMs >= spec.minUptimeMs;
  const unstable = stable ? 0 : history.unstable + 1;
  if (!stable && unstable >= spec.maxRestarts) {
    return { kind: 'give-up', reason: tellUnstable(spec, unstable, run) };
  }
  const backoffMs = nextBackoff(spec, run.uptimeMs >= BACKOFF_RESET_MS ? 0 : history.backoffMs);
  const delayMs = spec.backoffMs > 0 ? backoffMs : spec.delayMs;
  return { kind: 'restart', delayMs, reason: how, history: { unstable, backoffMs, shortages: 0 } };
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
