import type { AppSpec } from './app-spec.ts';

/** Idle clients of a worker that others stand in for have this long to notice; most servers end them sooner. */
const COVERED_LINGER_MS = 10_000;
/** Where nobody serves meanwhile, they have just time to see `Connection: close`. */
const SHORT_LINGER_MS = 200;
const MOST_STAGGER_MS = 5000;

/** What the bootstrap needs to know of a drain. */
export interface DrainOrder {
  /** Idle connections may stay open for this long at most, so that no request crosses their end. */
  readonly lingerMs: number;
  /** Over which WebSockets and event streams are told to go, so that their clients do not come back all at once. */
  readonly staggerMs: number;
  /** Idle connections go to other workers. */
  readonly move: boolean;
}

/**
 * Who serves while an instance ends, and so how long it may take to finish what it has begun. `covered`: others do;
 * `gap`: nobody until it is started again, so it does not wait for idle clients; `final`: it is stopped for good.
 */
export type StopHow = 'covered' | 'gap' | 'final';

type DrainPolicy = Pick<AppSpec, 'mode' | 'drain' | 'stop'>;

/** How long a drain may take, and what the bootstrap is told of it. */
export function drainTimes(
  { drain, stop }: DrainPolicy,
  how: StopHow,
): { readonly timeoutMs: number; readonly streamTimeoutMs: number; readonly order: DrainOrder } {
  const timeoutMs = how === 'final' ? stop.killTimeoutMs : drain.timeoutMs;
  const streamTimeoutMs = how === 'covered' ? drain.streamTimeoutMs : stop.killTimeoutMs;
  const lingerMs = how === 'covered' ? COVERED_LINGER_MS : SHORT_LINGER_MS;
  const staggerMs = Math.min(streamTimeoutMs / 4, MOST_STAGGER_MS);
  const move = how === 'covered' && drain.moveConnections;
  return { timeoutMs, streamTimeoutMs, order: { lingerMs, staggerMs, move } };
}

/** From the command to SIGKILL. */
export function longestStopMs(policy: DrainPolicy, how: StopHow): number {
  const { timeoutMs, streamTimeoutMs } = drainTimes(policy, how);
  const drainMs = policy.mode === 'cluster' ? Math.max(timeoutMs, streamTimeoutMs) : 0;
  return drainMs + policy.stop.killTimeoutMs;
}
