/** What the user wants of one app. Only declared wishes: nothing observed at run time ever enters a spec. */
export interface AppSpec {
  readonly name: string;
  readonly namespace: string;
  /** `fork`: each instance is a process of its own. `cluster`: Node.js workers that share their ports. */
  readonly mode: 'fork' | 'cluster';
  readonly instances: number;
  readonly program: ProgramSpec;
  /** The whole environment of the app, the per-instance variables excepted. */
  readonly env: Readonly<Record<string, string>>;
  /** The variable that carries the instance's index (0, 1, ...). */
  readonly instanceVar: string;
  /** A variable whose number grows by one for each instance, such as a port. */
  readonly incrementVar: string | null;
  readonly logs: LogSpec;
  readonly restart: RestartSpec;
  readonly stop: StopSpec;
  readonly ready: ReadySpec;
  /** Asked again and again of an instance that is online; null for never. */
  readonly liveness: LivenessSpec | null;
  readonly drain: DrainSpec;
  readonly rollout: RolloutSpec;
  /** Cluster mode only. */
  readonly balance: BalanceSpec;
  /** An instance that holds more memory (resident set) than this is replaced; null for no limit. */
  readonly maxMemoryBytes: number | null;
  /** When all instances are replaced, as a cron pattern of five or six fields; null for never. */
  readonly cron: string | null;
  /** false: registered, but only started when asked for by name. */
  readonly autostart: boolean;
  /** User and group to run as, for a daemon that runs as root. */
  readonly uid: number | null;
  readonly gid: number | null;
  readonly pidFile: string | null;
}

export interface ProgramSpec {
  /** What the user named: an absolute path, or a command line for the shell. Passed to `exec`, unless it is `exec`. */
  readonly script: string;
  /** Absolute path of the executable that is started: the interpreter, or the script itself. */
  readonly exec: string;
  /** `node`: run by a Node.js that can load the bootstrap. `other`: any program. */
  readonly runtime: 'node' | 'other';
  /** Arguments of the interpreter, before the script. */
  readonly interpreterArgs: readonly string[];
  readonly args: readonly string[];
  readonly cwd: string;
  /**
   * Where `script` and `cwd` led when this generation was begun, symbolic links resolved: a crash brings up the same
   * release again, wherever a link points by then. null where they lead nowhere else.
   */
  readonly release: Release | null;
}

export interface Release {
  readonly script: string;
  readonly cwd: string;
}

export interface LogSpec {
  /** Absolute paths, or null to keep none. `merge` puts all instances into one file instead of one each. */
  readonly out: string | null;
  readonly error: string | null;
  /** Also both streams of all instances into one file. */
  readonly combined: string | null;
  readonly merge: boolean;
  /** `plain`: lines as they are, after a time where there is a `dateFormat`. `json`: one object a line. */
  readonly type: 'plain' | 'json';
  /** Of the time, in dayjs tokens; null for none in plain lines, and ISO 8601 in JSON. */
  readonly dateFormat: string | null;
  readonly rotation: RotationSpec;
  /** How much may wait for a slow disk, the rest being dropped and counted; null: the app waits. */
  readonly bufferBytes: number | null;
  /** Also to the system's journal. */
  readonly journald: boolean;
  /** Also to syslog: `local`, `udp://host:port` or `tcp://host:port`. */
  readonly syslog: string | null;
}

/** When a log file is set aside, and how long it is kept then. null is no limit. */
export interface RotationSpec {
  readonly maxBytes: number | null;
  readonly interval: RotateInterval;
  /** gzip what was set aside. */
  readonly compress: boolean;
  /** How many are kept of each log. */
  readonly retain: number | null;
  readonly maxAgeMs: number | null;
  /** Of all logs of the app. */
  readonly maxTotalBytes: number | null;
  /** Of all logs of all apps; where apps differ, the smallest counts. */
  readonly maxTotalAllBytes: number | null;
}

/** The local time's hours, midnights, Mondays and firsts of the month. */
export type RotateInterval = 'never' | 'hourly' | 'daily' | 'weekly' | 'monthly';

export interface RestartSpec {
  readonly autorestart: boolean;
  /** A run that ends sooner than this, or before it was ready, counts as unstable. */
  readonly minUptimeMs: number;
  /** That many unstable runs in a row, and the instance is given up (`errored`). */
  readonly maxRestarts: number;
  /** One that was given up is tried again now and then. */
  readonly erroredRetry: boolean;
  /** 0: at once after the first unstable runs, and then at growing intervals. */
  readonly delayMs: number;
  /** First delay of the exponential backoff, 0 for none. */
  readonly backoffMs: number;
  /** Exit codes that mean "done": no restart. Death by a signal never matches. */
  readonly stopExitCodes: readonly number[];
}

export interface StopSpec {
  readonly signal: string;
  readonly killTimeoutMs: number;
  /** Ask by the message 'shutdown' also in fork mode. */
  readonly shutdownWithMessage: boolean;
  /** Signal the whole process tree, not only the main process. */
  readonly treekill: boolean;
  /** With `treekill`: the rest is signalled once the main process has ended, which may want its children until then. */
  readonly mainFirst: boolean;
}

export interface ReadySpec {
  /** Wait for `process.send('ready')`. */
  readonly waitReady: boolean;
  readonly listenTimeoutMs: number;
  /** What else must be true before it counts as online; null for nothing. */
  readonly probe: ReadinessSpec | null;
}

/**
 * A question put to an instance from outside. A null port is the first one that it listens on; a worker of a cluster
 * is asked itself, not whichever of its siblings would accept.
 */
export type Check =
  /** Healthy when it answers with a status of 200 to 399. */
  | { readonly kind: 'http'; readonly path: string; readonly port: number | null; readonly tls: boolean }
  /** Healthy when it accepts. */
  | { readonly kind: 'tcp'; readonly port: number | null }
  /** Healthy when the shell command, run in the app's folder and environment, ends with code 0. */
  | { readonly kind: 'command'; readonly command: string };

export interface ReadinessSpec {
  readonly check:
    | Check
    /** It writes a line feed to this descriptor, as the s6 programs do. */
    | { readonly kind: 'fd'; readonly fd: number }
    /** It writes a line to stdout or stderr that matches this regular expression. */
    | { readonly kind: 'log'; readonly pattern: string };
  readonly intervalMs: number;
  /** Of one question. */
  readonly timeoutMs: number;
  /** Not ready within this time of its start: that run has failed. */
  readonly deadlineMs: number;
}

export interface LivenessSpec {
  /** null where only the event loop is watched. */
  readonly check: Check | null;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** That many failures in a row, and it is replaced. */
  readonly failures: number;
  /** Node.js: the event loop may stand still for this long; null to let it. */
  readonly eventLoopMs: number | null;
}

/** How long an instance that is replaced, scaled away or restarted may take to finish what it has begun. */
export interface DrainSpec {
  /** For requests and connections. What is still open then is cut, and the app is asked to end. */
  readonly timeoutMs: number;
  /** For what has no natural end: WebSockets and server-sent events. At least `timeoutMs`. */
  readonly streamTimeoutMs: number;
  /** Idle connections go to other workers instead of being waited for. */
  readonly moveConnections: boolean;
}

export interface RolloutSpec {
  /** How many new instances may start at a time beside the old ones. */
  readonly maxSurge: number;
  /** How many old instances may go before their new ones are ready. */
  readonly maxUnavailable: number;
  /** A new instance must have been ready for this long before its old one goes. */
  readonly minReadyMs: number;
}

export interface BalanceSpec {
  readonly mode: 'auto' | 'rr' | 'kernel' | 'sticky';
  /** `sticky`: the cookie that names the client; null to go by its address. */
  readonly cookie: string | null;
}

export const DEFAULTS = {
  namespace: 'default',
  instanceVar: 'NODE_APP_INSTANCE',
  minUptimeMs: 1000,
  maxRestarts: 16,
  killTimeoutMs: 1600,
  killSignal: 'SIGINT',
  listenTimeoutMs: 3000,
  drainTimeoutMs: 30_000,
  streamTimeoutMs: 60_000,
  probeIntervalMs: 500,
  probeTimeoutMs: 2000,
  readinessDeadlineMs: 30_000,
  livenessIntervalMs: 10_000,
  livenessFailures: 3,
  /** As with pm2's `time`. */
  dateFormat: 'YYYY-MM-DDTHH:mm:ss',
  logMaxBytes: 20 * 1024 ** 2,
  logRetain: 10,
  logMaxTotalBytes: 1024 ** 3,
  logMaxTotalAllBytes: 5 * 1024 ** 3,
  logBufferBytes: 1024 ** 2,
} as const;

/** How long a program that does not tell when it is ready, and listens nowhere, must stay up to count as online. */
export const GRACE_MS = 500;

/** How long a start may take before the command that waits for it gives up waiting. */
export const START_DEADLINE_MS = 30_000;

/** More of one app is a mistake, such as a number with too many zeros. */
export const MOST_INSTANCES = 10_000;

/** Of one app, as JSON. No system starts a program with more: Linux takes 2 MiB of arguments and environment. */
export const MOST_SPEC_BYTES = 2.5 * 1024 * 1024;

/** What is executed: the program, within its release. */
export function programToRun({ program }: AppSpec): ProgramSpec {
  const { release, script, exec } = program;
  if (!release) return program;
  return { ...program, ...release, exec: exec === script ? release.script : exec };
}

/**
 * The count of instances meant by pm2's `instances` values.
 * @param wanted `max`, or an integer: 0 means one a CPU, negative means CPUs less that many (at least 1).
 */
export function resolveInstances(wanted: number | 'max', cpus: number): number {
  if (wanted === 'max' || wanted === 0) return cpus;
  return wanted > 0 ? wanted : Math.max(1, cpus + wanted);
}
