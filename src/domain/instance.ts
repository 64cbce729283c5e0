import type { AppSpec } from './app-spec.ts';
import type { DrainOrder, StopHow } from './drain-times.ts';
import { type Exit, FRESH_HISTORY, type RestartHistory } from './restart-policy.ts';

/**
 * What one instance is, what happens to it, and what it wants done; instance-step.ts has its life. Times are
 * milliseconds of a clock that nobody sets (adr/0013).
 */
export interface Instance {
  readonly state: InstanceState;
  readonly policy: InstancePolicy;
  readonly history: RestartHistory;
  /** Restarts of any kind since the app was added or reset. */
  readonly restarts: number;
  readonly lastExit: LastExit | null;
  /** It is meant to replace another one: until it has taken over it gets one run, and what ends that ends it for good. */
  readonly trial: boolean;
  /** 0 to 1, drawn once: by it its waits differ from those of others that fail for the same reason. */
  readonly chance: number;
}

export type InstanceState =
  | { readonly kind: 'stopped'; readonly reason: string }
  | {
      readonly kind: 'starting';
      readonly pid: number | null;
      readonly since: number;
      readonly mainRan: boolean;
      readonly listening: boolean;
      /** It has said `process.send('ready')`. */
      readonly said: boolean;
      /** Its readiness probe was answered well. */
      readonly probed: boolean;
      /** The last answer of that probe, while it was not. */
      readonly notReady: string | null;
    }
  | { readonly kind: 'online'; readonly pid: number; readonly since: number }
  /** It was online, takes no new connections, and finishes what it has begun. */
  | {
      readonly kind: 'draining';
      readonly pid: number;
      readonly since: number;
      /** When the drain began. */
      readonly from: number;
      readonly how: StopHow;
      readonly next: AfterStop;
    }
  | {
      readonly kind: 'stopping';
      readonly pid: number | null;
      readonly since: number;
      readonly wasReady: boolean;
      /** Set once the main process is gone and the rest of its tree is awaited. */
      readonly exit: Exit | null;
      readonly killed: boolean;
      readonly next: AfterStop;
    }
  | { readonly kind: 'backoff'; readonly until: number; readonly reason: string }
  /** `nextTryAt`: null for never; an older supervisor does not tell. */
  | { readonly kind: 'errored'; readonly reason: string; readonly nextTryAt?: number | null };

/** `why`: what is told as the reason of the exit, where it was no command. */
export type AfterStop =
  | { readonly kind: 'stop'; readonly why?: string }
  | { readonly kind: 'start'; readonly why?: string }
  /** It was stopped because it failed; the restart policy decides. */
  | { readonly kind: 'fail'; readonly reason: string };

export interface InstancePolicy {
  readonly mode: AppSpec['mode'];
  readonly runtime: AppSpec['program']['runtime'];
  readonly restart: AppSpec['restart'];
  readonly stop: AppSpec['stop'];
  readonly drain: AppSpec['drain'];
  readonly ready: AppSpec['ready'];
  /** The run before, the instance that it replaces, or its siblings listen: so must it before it counts as ready. */
  readonly mustListen: boolean;
}

export interface LastExit extends Exit {
  readonly at: number;
  readonly uptimeMs: number;
  readonly reason: string;
}

/** How the reason of a stop by command begins. */
export const STOPPED_BY_COMMAND = 'stopped by command';

export type Timer = 'grace' | 'listen' | 'ready' | 'drain' | 'kill' | 'backoff';

export type InstanceEvent =
  | { readonly kind: 'start' }
  | { readonly kind: 'stop'; readonly how: StopHow; readonly why?: string | undefined }
  | { readonly kind: 'restart'; readonly how: StopHow; readonly why?: string | undefined }
  | { readonly kind: 'reset' }
  /** It replaces the one that it was meant to. */
  | { readonly kind: 'took-over' }
  | { readonly kind: 'spawned'; readonly pid: number }
  /** `short`: for want of something that others hold, as of memory. */
  | { readonly kind: 'spawn-failed'; readonly reason: string; readonly short?: boolean }
  /** The main module of a Node.js app has been evaluated. */
  | { readonly kind: 'main-ran' }
  /** Once, after that: nothing that its start began is pending. */
  | { readonly kind: 'settled' }
  | { readonly kind: 'listening' }
  /** It listens nowhere any more. */
  | { readonly kind: 'closed' }
  /** The app said `process.send('ready')`. */
  | { readonly kind: 'ready' }
  /** Its readiness probe was answered well, or why not. */
  | { readonly kind: 'probed' }
  | { readonly kind: 'not-ready'; readonly reason: string }
  /** Of a drain nothing is left but connections without a natural end. */
  | { readonly kind: 'only-streams' }
  /** The drain is over, and the app is asked to end. */
  | { readonly kind: 'drained' }
  | { readonly kind: 'exited'; readonly exit: Exit; readonly treeAlive: boolean }
  /** Nothing of the process tree is left, after `await-tree`. */
  | { readonly kind: 'tree-gone' }
  | { readonly kind: 'timer'; readonly timer: Timer };

export type InstanceEffect =
  | { readonly kind: 'spawn' }
  /** Ask the app through its bootstrap to finish and exit; null: without a drain. See docs/signals.md. */
  | { readonly kind: 'ask-shutdown'; readonly drain: DrainOrder | null }
  /** Its time to drain is over. */
  | { readonly kind: 'end-drain' }
  | { readonly kind: 'signal'; readonly signal: string; readonly tree: boolean }
  | { readonly kind: 'await-tree' }
  /** One that is set already is set anew. */
  | { readonly kind: 'set-timer'; readonly timer: Timer; readonly ms: number };

export interface Step {
  readonly instance: Instance;
  readonly effects: readonly InstanceEffect[];
}

export function instancePolicy(spec: AppSpec, mustListen = false): InstancePolicy {
  const { mode, program, restart, stop, drain, ready } = spec;
  return { mode, runtime: program.runtime, restart, stop, drain, ready, mustListen };
}

export function newInstance(
  policy: InstancePolicy,
  more: Partial<Pick<Instance, 'trial' | 'restarts' | 'chance'>> = {},
): Instance {
  return {
    state: { kind: 'stopped', reason: 'not started yet' },
    policy,
    history: FRESH_HISTORY,
    restarts: 0,
    lastExit: null,
    trial: false,
    chance: 0.5,
    ...more,
  };
}

/** @returns the pid where there is a process, else null. */
export function pidOf({ state }: Pick<Instance, 'state'>): number | null {
  return 'pid' in state ? state.pid : null;
}
