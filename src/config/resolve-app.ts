import { createHash } from 'node:crypto';
import { join, resolve } from 'node:path';
import { nameProblem } from '../domain/app-name.ts';
import {
  type AppSpec,
  type Check,
  DEFAULTS,
  type DrainSpec,
  type LivenessSpec,
  MOST_INSTANCES,
  type ReadinessSpec,
  type RolloutSpec,
  type RotationSpec,
  resolveInstances,
} from '../domain/app-spec.ts';
import { callerEnv } from '../domain/instance-env.ts';
import { signalName } from '../domain/signal-name.ts';
import { UpkeepError } from '../protocol/errors.ts';
import type { AppOptions } from './options.ts';
import { type ClusterWish, defaultName, resolveProgram, statOf } from './program.ts';
import { show } from './read-app.ts';
import { type RunAs, runAs } from './users.ts';

/** With an id and an extension it stays below the 255 bytes that a name may have. */
const LONGEST_FILE_NAME = 200;

/** Interpreters that do not start a Node.js app, as shells, tsx and npm do. */
const OTHER_LANGUAGES = /\/(python|ruby|php|perl)[\d.]*$/;

/** Where an app's options meet the world of the command that starts it. Read once, passed in. */
export interface ResolveContext {
  /** Relative paths start here. */
  readonly folder: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cpus: number;
  readonly execPath: string;
  readonly logFolder: string;
  /** Whose command this is. */
  readonly own: { readonly uid: number; readonly gid: number };
  /** Chosen with `--env`, else null. */
  readonly environment: string | null;
  /** The app gets only what is declared of `env`, and what every program needs. */
  readonly declaredEnv: boolean;
}

/**
 * Completes the options of one app.
 * @param where names the app in messages.
 * @throws UpkeepError when it could not be started as told.
 */
export function resolveApp(
  options: AppOptions,
  environments: Readonly<Record<string, Readonly<Record<string, string>>>>,
  context: ResolveContext,
  where: string,
): AppSpec {
  if (options.script === undefined) throw new UpkeepError('CONFIG_INVALID', `${where}: script is missing`);
  const cwd = resolve(context.folder, options.cwd ?? '.');
  if (!statOf(cwd)?.isDirectory()) {
    throw new UpkeepError('CONFIG_INVALID', `${where}: cwd: there is no folder ${cwd}`, {
      hint: 'make it, or name another',
    });
  }
  const user = runAs(options, context.own, where);
  const env = appEnvironment(options, environments, context, user);
  const cluster = wantsCluster(options);
  const name = appName(options, context);
  const problem = nameProblem(name);
  if (problem !== null) {
    const made = options.name === undefined ? ', which is made of the script' : '';
    throw new UpkeepError('CONFIG_INVALID', `${where}: name: ${problem}, got ${show(name)}${made}`, {
      hint: 'give it another one with --name, or `name` in a file',
    });
  }
  const program = resolveProgram(options, { cwd, env, execPath: context.execPath, cluster });
  const mode = cluster !== 'no' && program.runtime === 'node' ? 'cluster' : 'fork';
  if (options.wait_ready && OTHER_LANGUAGES.test(program.exec)) {
    throw new UpkeepError('CONFIG_INVALID', `${where}: wait_ready: only Node.js apps can send 'ready'`, {
      hint: 'readiness: { fd: 3 } waits for a line on a descriptor, { http }, { tcp } and { log } for other signs',
    });
  }
  if (program.exec.endsWith('/python3') || program.exec.endsWith('/python')) env['PYTHONUNBUFFERED'] ??= '1';

  return {
    name,
    namespace: options.namespace ?? DEFAULTS.namespace,
    mode,
    instances: instanceCount(options, context, where),
    program,
    env,
    instanceVar: options.instance_var ?? DEFAULTS.instanceVar,
    incrementVar: options.increment_var ?? null,
    logs: logSpec(options, name, cwd, context.logFolder),
    restart: {
      autorestart: options.autorestart ?? true,
      minUptimeMs: options.min_uptime ?? DEFAULTS.minUptimeMs,
      maxRestarts: options.max_restarts ?? DEFAULTS.maxRestarts,
      erroredRetry: options.errored_retry ?? true,
      delayMs: options.restart_delay ?? 0,
      backoffMs: options.exp_backoff_restart_delay ?? 0,
      stopExitCodes: options.stop_exit_codes ?? [],
    },
    stop: {
      signal: options.kill_signal ?? signalFromEnv(context) ?? DEFAULTS.killSignal,
      killTimeoutMs: options.kill_timeout ?? DEFAULTS.killTimeoutMs,
      shutdownWithMessage: options.shutdown_with_message ?? false,
      treekill: options.treekill !== false,
      mainFirst: options.treekill === 'main-first',
    },
    ready: {
      waitReady: options.wait_ready ?? false,
      listenTimeoutMs: options.listen_timeout ?? DEFAULTS.listenTimeoutMs,
      probe: readinessSpec(options.readiness, program.runtime, where),
    },
    liveness: livenessSpec(options.liveness, program.runtime, where),
    drain: drainSpec(options),
    rollout: rolloutSpec(options, where),
    balance: {
      mode: options.balance ?? (options.sticky_cookie === undefined ? 'auto' : 'sticky'),
      cookie: options.sticky_cookie ?? null,
    },
    maxMemoryBytes: options.max_memory_restart || null,
    cron: options.cron_restart ?? null,
    autostart: options.autostart ?? true,
    uid: user.uid,
    gid: user.gid,
    pidFile: options.pid_file === undefined ? null : resolve(cwd, options.pid_file),
  };
}

function checkOf({ http, tcp, command, port, tls = false }: NonNullable<AppOptions['liveness']>): Check | null {
  if (http !== undefined) return { kind: 'http', path: http, port: port ?? null, tls };
  if (tcp !== undefined) return { kind: 'tcp', port: tcp === true ? (port ?? null) : tcp };
  return command === undefined ? null : { kind: 'command', command };
}

/** Only of Node.js apps is it known where they listen. */
function requirePort(check: Check | null, runtime: AppSpec['program']['runtime'], where: string, option: string): void {
  if (runtime === 'node' || check === null || check.kind === 'command' || check.port !== null) return;
  throw new UpkeepError('CONFIG_INVALID', `${where}: ${option}: expected a port, as this is no Node.js app`, {
    hint: `${option}: { ${check.kind === 'http' ? `http: '${check.path}', port: 3000` : 'tcp: 3000'} }`,
  });
}

function readinessSpec(
  given: AppOptions['readiness'],
  runtime: AppSpec['program']['runtime'],
  where: string,
): ReadinessSpec | null {
  if (given === undefined) return null;
  const { fd, log = '' } = given;
  const asked = checkOf(given);
  requirePort(asked, runtime, where, 'readiness');
  return {
    check: asked ?? (fd === undefined ? { kind: 'log', pattern: log } : { kind: 'fd', fd }),
    intervalMs: given.interval ?? DEFAULTS.probeIntervalMs,
    timeoutMs: given.timeout ?? DEFAULTS.probeTimeoutMs,
    deadlineMs: given.deadline ?? DEFAULTS.readinessDeadlineMs,
  };
}

function livenessSpec(
  given: AppOptions['liveness'],
  runtime: AppSpec['program']['runtime'],
  where: string,
): LivenessSpec | null {
  if (given === undefined) return null;
  if (given.event_loop !== undefined && runtime !== 'node') {
    throw new UpkeepError(
      'CONFIG_INVALID',
      `${where}: liveness.event_loop: only Node.js apps have an event loop to watch`,
    );
  }
  const check = checkOf(given);
  requirePort(check, runtime, where, 'liveness');
  return {
    check,
    intervalMs: given.interval ?? DEFAULTS.livenessIntervalMs,
    timeoutMs: given.timeout ?? DEFAULTS.probeTimeoutMs,
    failures: given.failures ?? DEFAULTS.livenessFailures,
    eventLoopMs: given.event_loop ?? null,
  };
}

function drainSpec(options: AppOptions): DrainSpec {
  const { drain_timeout: timeoutMs = DEFAULTS.drainTimeoutMs, stream_timeout, move_connections } = options;
  const streamTimeoutMs = Math.max(timeoutMs, stream_timeout ?? DEFAULTS.streamTimeoutMs);
  return { timeoutMs, streamTimeoutMs, moveConnections: move_connections ?? true };
}

function rolloutSpec(options: AppOptions, where: string): RolloutSpec {
  const maxUnavailable = options.max_unavailable ?? 0;
  const maxSurge = options.max_surge ?? (maxUnavailable === 0 ? 1 : 0);
  if (maxSurge + maxUnavailable === 0) {
    throw new UpkeepError(
      'CONFIG_INVALID',
      `${where}: max_surge and max_unavailable: nothing can move when both are 0`,
      {
        hint: 'let one of them be 1 or more',
      },
    );
  }
  return { maxSurge, maxUnavailable, minReadyMs: options.min_ready ?? 0 };
}

function instanceCount({ instances = 1 }: AppOptions, { cpus }: ResolveContext, where: string): number {
  const count = resolveInstances(instances, cpus);
  if (count <= MOST_INSTANCES) return count;
  throw new UpkeepError('CONFIG_INVALID', `${where}: instances: expected at most ${MOST_INSTANCES}, got ${count}`);
}

/** As with pm2: to ask for instances of a Node.js app is to ask for a cluster. */
function wantsCluster({ exec_mode: mode, instances }: AppOptions): ClusterWish {
  if (mode !== undefined) return mode.startsWith('cluster') ? 'yes' : 'no';
  return instances === undefined ? 'no' : 'if-node';
}

function appName(options: AppOptions, { environment }: ResolveContext): string {
  const name = options.name ?? defaultName(options.script ?? '');
  return options.append_env_to_name && environment !== null ? `${name}-${environment}` : name;
}

function appEnvironment(
  { env = {}, filter_env: filter, pass_env: passed = [] }: AppOptions,
  environments: Readonly<Record<string, Readonly<Record<string, string>>>>,
  context: ResolveContext,
  user: RunAs,
): Record<string, string> {
  const taken = callerEnv(context.env, user.uid !== null).filter(([name]) => {
    const isPassed = BASE_ENV.test(name) || passed.some((pattern) => matchesName(pattern, name));
    if ((filter === true || context.declaredEnv) && !isPassed) return false;
    return !Array.isArray(filter) || !filter.some((prefix) => name.startsWith(prefix));
  });
  const { environment } = context;
  const chosen = environment !== null && Object.hasOwn(environments, environment) ? environments[environment] : {};
  return { ...Object.fromEntries(taken), ...user.env, ...env, ...chosen };
}

/** What programs take for granted. */
const BASE_ENV = /^(PATH|HOME|USER|LOGNAME|SHELL|LANG|LC_\w+|TZ|TMPDIR|UPKEEP_HOME)$/;

/** @param pattern a name, or the beginning of one and `*`. */
function matchesName(pattern: string, name: string): boolean {
  return pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern;
}

/** Reversible, so that no two apps get one file, where that is not too long for the name of one. */
function fileName(name: string): string {
  const encoded = name.replace(/[/\\%]|^\./g, encodeByte);
  if (Buffer.byteLength(encoded) <= LONGEST_FILE_NAME) return encoded;
  const start = encoded.replace(/[^\w.-]/g, '_').slice(0, 40);
  return `${start}-${createHash('sha256').update(name).digest('hex').slice(0, 32)}`;
}

function encodeByte(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
}

/** @throws UpkeepError CONFIG_INVALID for a signal that the system does not have. */
function signalFromEnv({ env }: ResolveContext): string | null {
  const given = env['PM2_KILL_SIGNAL'];
  if (!given) return null;
  const name = signalName(given);
  if (name === null) throw new UpkeepError('CONFIG_INVALID', `PM2_KILL_SIGNAL: there is no signal ${given}`);
  return name;
}

function logSpec(options: AppOptions, name: string, cwd: string, folder: string): AppSpec['logs'] {
  const how = {
    merge: options.merge_logs ?? false,
    type: options.log_type === 'json' ? 'json' : 'plain',
    dateFormat: options.log_date_format ?? (options.time ? DEFAULTS.dateFormat : null),
    rotation: rotationSpec(options),
    bufferBytes: options.log_mode === 'non-blocking' ? (options.log_max_buffer_size ?? DEFAULTS.logBufferBytes) : null,
    journald: options.log_journald ?? false,
    syslog: options.log_syslog ?? null,
  } as const;
  if (options.disable_logs) return { out: null, error: null, combined: null, ...how };
  const file = fileName(name);
  const path = (given: string | undefined, otherwise: string): string | null => {
    if (given === undefined) return join(folder, otherwise);
    return given === 'NULL' || given === '/dev/null' ? null : resolve(cwd, given);
  };
  const { log_file: combined = false } = options;
  return {
    out: path(options.out_file, `${file}-out.log`),
    error: path(options.error_file, `${file}-error.log`),
    combined: combined === false ? null : path(combined === true ? undefined : combined, `${file}.log`),
    ...how,
  };
}

/** 0 is no limit. */
function rotationSpec(options: AppOptions): RotationSpec {
  const { log_retain: retain = DEFAULTS.logRetain } = options;
  return {
    maxBytes: (options.log_max_size ?? DEFAULTS.logMaxBytes) || null,
    interval: options.log_rotate_interval ?? 'never',
    compress: options.log_compress ?? true,
    retain: retain === 'all' ? null : retain,
    maxAgeMs: options.log_max_age || null,
    maxTotalBytes: (options.log_max_total ?? DEFAULTS.logMaxTotalBytes) || null,
    maxTotalAllBytes: (options.log_max_total_all ?? DEFAULTS.logMaxTotalAllBytes) || null,
  };
}
