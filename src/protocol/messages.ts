import type { AppSpec } from '../domain/app-spec.ts';
import type { InstanceState, LastExit } from '../domain/instance.ts';
import type { LogPaths } from '../domain/log-paths.ts';

/**
 * Everything that crosses a unix socket: CLI to daemon, and daemon to supervisor. docs/protocol.md explains it.
 * A change that an older peer would misread raises PROTOCOL_VERSION.
 */
export const PROTOCOL_VERSION = 1;

/** Supervisors are replaced when nothing runs on their apps: until then one of the version before must do. */
export const OLDEST_SUPERVISOR = PROTOCOL_VERSION - 1;

/** The first frame of each side that listens. */
export interface Hello {
  readonly role: 'daemon' | 'supervisor';
  readonly version: string;
  readonly protocol: number;
  readonly pid: number;
  /** Of a daemon: what people should know whatever they ask. */
  readonly problems?: readonly string[];
  /** Of a supervisor: the version of its Node.js, which is that of a cluster's workers; an older one does not tell. */
  readonly node?: string;
}

export type Frame =
  | { readonly hello: Hello }
  | { readonly id: number; readonly method: string; readonly params: unknown; readonly parts?: boolean }
  | { readonly id: number; readonly part: readonly unknown[] }
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number | null; readonly error: unknown }
  | { readonly event: string; readonly data: unknown };

/** A place that one instance fills: `id` is unique among all apps, `index` counts within the app from 0. */
export interface Slot {
  readonly id: number;
  readonly index: number;
  readonly wanted: 'up' | 'down';
}

/** An app as the daemon wants it. `key` names it for good, whatever its name. */
export interface AppRecord {
  readonly key: string;
  readonly spec: AppSpec;
  readonly slots: readonly Slot[];
  readonly createdAt: number;
  /** What served before the present spec, or before what served last, for a rollback. */
  readonly previous: AppSpec | null;
  /** Where the present spec has not served: what served last, null for nothing yet. null: the present spec has served. */
  readonly unproven: { readonly served: AppSpec | null } | null;
  /**
   * How the last change, a reload that left what served in its place, failed: `spared` where all of that still serves,
   * else `mixed`. null: no such reload has failed.
   */
  readonly failedReload: 'spared' | 'mixed' | null;
  /** The ecosystem file that it came from, an absolute path. */
  readonly origin: string | null;
}

/** A log, and the user that its app runs as; null for the daemon's. */
export interface LogPath {
  readonly path: string;
  readonly appUid: number | null;
}

export interface EmptiedLogs {
  /** Those that are there. */
  readonly emptied: readonly string[];
  /** What kept others from it, a text each. */
  readonly problems: readonly string[];
}

/** Lines that could not be kept in a log. */
export interface LostLines {
  readonly lines: number;
  /** Why more are being lost; null when none are any more. */
  readonly because: string | null;
}

/** One instance as its supervisor sees it. */
export interface InstanceSnapshot {
  readonly key: string;
  readonly id: number;
  readonly index: number;
  readonly state: InstanceState;
  readonly restarts: number;
  readonly unstable: number;
  readonly lastExit: LastExit | null;
  /** The last ten of this place, whichever process filled it, the newest first. */
  readonly exits: readonly LastExit[];
  /** Why it is not well, though it is online; else null. */
  readonly unhealthy: string | null;
  /** Of its logs; null for none. */
  readonly lost: LostLines | null;
  /** What the running process listens on, such as `0.0.0.0:3000`. */
  readonly listens: readonly string[];
  /** Processes of earlier generations that still finish their work. */
  readonly draining: readonly number[];
  /** What is about to take its place, in a reload; an older supervisor does not tell. */
  readonly successor?: Successor | null;
  readonly generation: number;
}

/** `canary`, `ready`: it serves beside the old one, and is watched before that one goes. */
export interface Successor {
  readonly pid: number | null;
  readonly stage: 'starting' | 'canary' | 'ready';
}

export interface AppSnapshot {
  readonly app: AppRecord;
  readonly instances: readonly InstanceSnapshot[];
}

export type OperationKind = 'start' | 'restart' | 'reload' | 'stop' | 'delete' | 'reset';

/** How an operation ended for one instance. */
export interface Outcome {
  readonly id: number;
  readonly name: string;
  readonly ok: boolean;
  readonly reason: string | null;
  readonly hint: string | null;
  readonly stderr: readonly string[];
  /** Belongs to the hint for as long as the instance is tried again: by the time that is shown it may be given up. */
  readonly again?: string | undefined;
  /** Worth knowing, though it went well. */
  readonly note?: string | undefined;
  /** Nothing was begun. */
  readonly refused?: boolean;
  /** Of a reload that failed: what is new has taken the place of what was there all the same. */
  readonly replaced?: boolean;
}

/** Methods of the daemon. Selectors are targets as typed: a name, namespace, id, `all` or `/regex/`. */
export interface DaemonMethods {
  ping: {
    params: Record<string, never>;
    /** `waitsFor`: what holds up operations for unduly long. */
    result: { version: string; pid: number; uptimeMs: number; waitsFor: string | null };
  };
  list: { params: Record<string, never>; result: readonly InstanceView[] };
  describe: { params: { selectors: readonly string[] }; result: readonly AppView[] };
  /** What the next `apply` of this connection takes, too: as many as there are, in pieces. */
  stage: { params: { specs: readonly AppSpec[] }; result: Record<string, never> };
  /** Registers new apps and starts them; an app that exists gets the new spec, by restart or reload. */
  apply: { params: ApplyParams; result: readonly Outcome[] };
  operate: { params: OperateParams; result: readonly Outcome[] };
  /** Back to the spec and the release that served before; not over a change that failed, unless by `force`. */
  rollback: { params: { selectors: readonly string[]; force?: boolean | undefined }; result: readonly Outcome[] };
  scale: { params: { selector: string; change: ScaleChange }; result: readonly Outcome[] };
  signal: { params: { selectors: readonly string[]; signal: string }; result: readonly number[] };
  /** Empties logs, and removes what was set aside of them. */
  flush: { params: { selectors: readonly string[] }; result: readonly string[] };
  /** Opens all log files anew, as after another program has moved them away. */
  reloadLogs: { params: Record<string, never>; result: Record<string, never> };
  /** Ends the daemon for another one to come; everything else goes on. `whenIdle`: once nobody else is connected. */
  leave: { params: { whenIdle?: boolean | undefined }; result: Record<string, never> };
  /** Replaces the supervisors that are of another version than this daemon. */
  updateSupervisors: { params: Record<string, never>; result: readonly SupervisorUpdate[] };
  kill: { params: Record<string, never>; result: { stopped: number } };
  /** Keeps the list as it is now, beside the state that is saved at every change. */
  save: { params: { force: boolean }; result: { apps: number; path: string } };
  /** Starts what was saved and is not there. */
  resurrect: { params: Record<string, never>; result: Resurrection };
  cleardump: { params: Record<string, never>; result: { path: string } };
}

export interface Resurrection {
  /** How many apps are saved, and how many of them were not there. */
  readonly saved: number;
  readonly restored: number;
  readonly outcomes: readonly Outcome[];
  /** What was wrong with the newest file, where an older one was taken. */
  readonly problem: string | null;
}

/** How the replacement of one supervisor went. */
export interface SupervisorUpdate {
  /** The names of its apps. */
  readonly apps: readonly string[];
  readonly from: string;
  /** null where it went well. */
  readonly problem: string | null;
}

export interface ApplyParams {
  readonly specs: readonly AppSpec[];
  /** What happens to an app of that name that is there already; `error` refuses one that runs. */
  readonly existing: 'error' | 'restart' | 'reload';
  /** The file that the specs come from, an absolute path. */
  readonly origin?: string | undefined;
  readonly canaryMs?: number | undefined;
  /** Of a restart: refused while a reload runs, which else it calls off. */
  readonly sparesReload?: boolean | undefined;
}

export interface OperateParams {
  readonly kind: OperationKind;
  readonly selectors: readonly string[];
  /** The environment to take over first (`--update-env`). */
  readonly env?: Readonly<Record<string, string>> | undefined;
  readonly canaryMs?: number | undefined;
  /** Of a restart: refused while a reload runs, which else it calls off. */
  readonly sparesReload?: boolean | undefined;
}

export type ScaleChange =
  | { readonly kind: 'to'; readonly count: number }
  | { readonly kind: 'by'; readonly delta: number };

/** One row of `list`. */
export interface InstanceView extends InstanceSnapshot {
  readonly name: string;
  readonly namespace: string;
  readonly mode: AppSpec['mode'];
  readonly pid: number | null;
  /** Percent of one CPU over the last sample period, null before there are two samples. */
  readonly cpuPercent: number | null;
  readonly rssBytes: number | null;
}

/** What `list` tells. */
export interface Listing {
  readonly instances: readonly InstanceView[];
  /** As in `Hello`. */
  readonly problems: readonly string[];
}

export interface AppView {
  readonly app: AppRecord;
  /** The version of Node.js that runs a cluster; null where it is no cluster, or not known. */
  readonly node?: string | null;
  /** A reload of it runs: whether its spec comes in is yet to be seen. */
  readonly reloading: boolean;
  readonly instances: readonly (InstanceView & { readonly logs: LogPaths })[];
}

/** Methods of a supervisor, called by the daemon. */
export interface SupervisorMethods {
  /**
   * Also tells it how to bring a daemon back, should this one go without a word.
   * `separately`: its apps are asked for by `apps`; one that does not know that tells them all the same, else `apps` is null.
   */
  adopt: {
    params: { daemonCommand: readonly string[]; separately?: boolean | undefined };
    result: { apps: readonly AppSnapshot[] | null };
  };
  apps: { params: Record<string, never>; result: readonly AppSnapshot[] };
  run: { params: RunParams; result: readonly Outcome[] };
  signal: { params: { ids: readonly number[]; signal: string }; result: readonly number[] };
  reopenLogs: { params: Record<string, never>; result: Record<string, never> };
  /** The daemon is about to end, and another one to come: it need not be brought back. */
  release: { params: Record<string, never>; result: Record<string, never> };
  /** Leaves everything to the next supervisor, and ends. Refused while an operation runs. */
  handOver: { params: Record<string, never>; result: Record<string, never> };
  /** Stops every instance and ends. */
  shutdown: { params: Record<string, never>; result: { stopped: number } };
}

/** One operation on instances of any number of apps; the records carry the wanted state after it. */
export interface RunParams {
  readonly kind: OperationKind;
  readonly apps: readonly AppRecord[];
  readonly ids: readonly number[];
  /** Of a reload: the first new instance is watched for this long before the others follow. */
  readonly canaryMs?: number | undefined;
  /** Of a reload that is no command: what is told as the reason why the old ones end. */
  readonly why?: string | undefined;
  /** Of a restart: refused while a reload runs, which else it calls off. */
  readonly sparesReload?: boolean | undefined;
}

/** Events of a supervisor. */
export interface SupervisorEvents {
  changed: { readonly instances: readonly InstanceSnapshot[]; readonly removed: readonly number[] };
}
