import type { Socket } from 'node:net';
import type { AppSpec, Check } from '../domain/app-spec.ts';
import type { DrainOrder } from '../domain/drain-times.ts';
import type { Exit } from '../domain/restart-policy.ts';
import type { AppError } from '../protocol/ipc.ts';
import type { LostLines, Slot } from '../protocol/messages.ts';

/** All that a supervisor knows of the operating system. Real ones are in platform/ and logs/, fakes in test/. */
export interface Ports {
  readonly clock: Clock;
  /** Anything from 0 to 1. */
  readonly chance: () => number;
  readonly launcher: Launcher;
  readonly logs: LogStore;
  readonly pidFiles: PidFiles;
  readonly ledger: Ledger;
  /** Tells whoever reads the daemon's log. */
  readonly complain: (line: string) => void;
  /** Names the process that listens on a TCP port, where that can be read: `nginx (pid 812)`. */
  readonly portOwner: (port: number) => string | null;
  readonly prober: Prober;
  /** Resident memory of processes, in bytes; those that are gone are left out. */
  readonly memoryOf: (pids: readonly number[]) => ReadonlyMap<number, number>;
  /** Where a Node.js process stands whose event loop does not turn, innermost frame first; none where it cannot tell. */
  readonly blockedStack: (pid: number) => Promise<readonly string[]>;
}

/** What the next supervisor must know, kept where it finds it. Entries are JSON. */
export interface Ledger {
  /** What another supervisor has left, by key. */
  readonly read: () => ReadonlyMap<string, unknown>;
  /** Is on record when it returns. null removes. */
  readonly write: (key: string, entry: unknown) => void;
  /** Nothing is left to know. */
  readonly remove: () => void;
}

export interface Prober {
  /** Puts one question. It never throws. @returns null when it is well, else the reason. */
  readonly ask: (check: Check, target: ProbeTarget, timeoutMs: number) => Promise<string | null>;
}

/** An instance to be asked. */
export interface ProbeTarget {
  readonly spec: AppSpec;
  readonly env: Readonly<Record<string, string>>;
  readonly connect: RunningProcess['connect'];
}

export interface Clock {
  /**
   * Milliseconds that pass evenly, whatever is done to the wall clock; the same in all processes, until the machine
   * starts again.
   */
  readonly now: () => number;
  /** What to add to such a time to have it in milliseconds since the epoch, as the wall clock stands at present. */
  readonly epoch: () => number;
  /** @returns what drops the timer. */
  readonly after: (ms: number, action: () => void) => () => void;
}

export interface Launcher {
  /** Learns what a start needs. @returns null where all is known. Rejects as `launch` throws. */
  readonly prepare: (spec: AppSpec) => Promise<void> | null;
  /** Starts a process. A failure is thrown, or arrives as `spawn-failed`. */
  readonly launch: (request: LaunchRequest, on: (event: ProcessEvent) => void) => RunningProcess;
  /** Takes over a process that another supervisor has started. @returns null when it is gone. */
  readonly adopt: (request: AdoptRequest, on: (event: ProcessEvent) => void) => RunningProcess | null;
  /** Of apps: nothing of theirs is in this process any more, so that it may end. */
  readonly quiesce: () => Promise<void>;
  /** No instance is about to start: sockets that none listens on may be closed; at once where nothing runs. */
  readonly settled: (running: boolean) => void;
}

export interface LaunchRequest {
  readonly spec: AppSpec;
  readonly slot: Slot;
  readonly env: Readonly<Record<string, string>>;
  /** The launcher's caller closes them after the launch. */
  readonly descriptors: Descriptors;
}

/** For the stdin, stdout and stderr of a new process. */
export interface Descriptors {
  readonly inFd: number;
  readonly outFd: number;
  readonly errFd: number;
  readonly close: () => void;
}

export interface AdoptRequest {
  readonly spec: AppSpec;
  readonly slot: Slot;
  readonly run: RunIdentity;
  /** It gets no connection before it is admitted. */
  readonly held: boolean;
}

/** What tells one process from all others, also to the next supervisor. */
export interface RunIdentity {
  readonly pid: number;
  readonly startTime: string;
  /** The secret by which it is known when it comes by itself; null for a program that cannot. */
  readonly token: string | null;
  /** By which all that it has started is known, also when it has ended. Not there where an older upkeep has started it. */
  readonly trace?: TraceLeft;
}

export interface TraceLeft {
  readonly mark: string | null;
  /** The folder of its cgroup. */
  readonly cgroup: string | null;
}

export interface RunningProcess {
  /**
   * Asks the app, through its bootstrap, to finish and exit. `drain` null: only passes the message on. `messageMs`: how
   * long one that acts on the message has for that, before the signal.
   */
  readonly askShutdown: (signal: string, drain: DrainOrder | null, messageMs: number) => void;
  /** The time to drain is over: on to the end. */
  readonly endDrain: () => void;
  /** It is ready: new connections may reach it. */
  readonly admit: () => void;
  /** Asks its event loop for a `pong`. */
  readonly ping: () => void;
  /** Asks for `answered`, for that long. */
  readonly watchAnswers: (ms: number) => void;
  /** A connection to this very process, whichever others listen on the same port; null: its first port. */
  readonly connect: (port: number | null) => Promise<Socket>;
  /** Signals the main process, or its whole tree. A process that is gone is no error. */
  readonly signal: (signal: string, tree: boolean) => void;
  /** It was told to end: its channel is to keep it alive no longer. */
  readonly letGo: () => void;
  /** Emits `tree-gone` once nothing of the tree is left. */
  readonly awaitTree: () => void;
  /** No more events; called when another run takes over or the instance is dropped. */
  readonly forget: () => void;
}

export type ProcessEvent =
  | { readonly kind: 'spawned'; readonly run: RunIdentity }
  | { readonly kind: 'spawn-failed'; readonly reason: string; readonly short: boolean }
  | { readonly kind: 'main-ran' }
  | { readonly kind: 'settled' }
  | { readonly kind: 'listening'; readonly address: string; readonly anyPort?: boolean | undefined }
  | { readonly kind: 'closed'; readonly address: string }
  | { readonly kind: 'ready' }
  | { readonly kind: 'probed' }
  | { readonly kind: 'pong' }
  | { readonly kind: 'answered'; readonly status: number }
  | { readonly kind: 'only-streams' }
  | { readonly kind: 'drained' }
  | { readonly kind: 'want-signal' }
  | { readonly kind: 'uncaught'; readonly error: AppError }
  | { readonly kind: 'exited'; readonly exit: Exit; readonly treeAlive: boolean }
  | { readonly kind: 'tree-gone' };

export interface LogStore {
  /** Makes the pipes of that many instances ready at once, which is cheaper than one by one. */
  readonly reserve: (instances: number) => void;
  /**
   * @param pipes those that another supervisor has read from, to go on with.
   * @throws Error when the files cannot be written; the message names the path.
   */
  readonly open: (spec: AppSpec, slot: Slot, pipes?: Pipes | null) => LogCapture;
  /** Tells in the logs of an instance that something is missing, where there are no pipes to go on with. It never throws. */
  readonly noteGap: (spec: AppSpec, slot: Slot, line: string) => void;
  /** Ends whatever holds pipes that other supervisors have left, those excepted that are kept; then removes them. */
  readonly sweep: (kept: readonly Pipes[]) => Promise<void>;
  /** Removes what was kept ready and not used. @returns when what was read is written, or the disk is too slow for that. */
  readonly close: () => Promise<void>;
  /** Looks for each file by its name, as after another program has moved it away. */
  readonly reopen: () => void;
  /** Reads no more, and leaves everything as it is to the next supervisor. @returns as `close`. */
  readonly leave: () => Promise<void>;
}

/** Paths of the named pipes that are an instance's stdin, stdout and stderr. */
export interface Pipes {
  /** An older supervisor made none. */
  readonly in?: string;
  readonly out: string;
  readonly err: string;
}

/** Keeps what one instance writes, over all its runs. */
export interface LogCapture {
  readonly pipes: Pipes;
  /** To hand to a new process. */
  readonly descriptors: () => Descriptors;
  /** Reads at once what a process that has ended left in its pipes. */
  readonly drain: () => void;
  /** The last lines of stderr since `markRun`. */
  readonly stderrTail: () => readonly string[];
  /** A run of this spec begins. */
  readonly markRun: (spec: AppSpec) => void;
  /** Adds a line of upkeep's own to stderr. */
  readonly note: (line: string) => void;
  /** Adds one to both streams: something is missing here, and the lines around may have been cut. Before anything is read. */
  readonly noteGap: (line: string) => void;
  /** Tells of the first line of either stream, from now on, that matches. @returns what ends that. */
  readonly watchLines: (pattern: RegExp, found: () => void) => () => void;
  /** What could not be kept; null for nothing. */
  readonly lost: () => LostLines | null;
  /** Calls back when lines are lost, now and then while they are, and when they are not any more. */
  readonly watchLost: (changed: () => void) => void;
  readonly close: () => void;
}

/** Trouble with a pid file never stops an app. */
export interface PidFiles {
  readonly write: (path: string, pid: number) => void;
  /** Only if it still holds this pid: after a reload it belongs to the process that took over. */
  readonly remove: (path: string, pid: number) => void;
}

/** What is read of one process. */
export interface ProcessStat {
  readonly pid: number;
  readonly ppid: number;
  readonly group: number;
  readonly zombie: boolean;
  /** Tells two processes with the same pid apart; its unit is the platform's. */
  readonly startTime: string;
  /** User and system time, in milliseconds. */
  readonly cpuMs: number;
  readonly rssBytes: number;
}
