import * as v from 'valibot';
import { nameProblem } from '../domain/app-name.ts';
import { type AppSpec, MOST_INSTANCES } from '../domain/app-spec.ts';
import { signalName } from '../domain/signal-name.ts';
import { UpkeepError } from './errors.ts';
import type { AppRecord, DaemonMethods, SupervisorMethods } from './messages.ts';

/** The shapes that are accepted from a socket or from the state file. */

const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const instances = v.pipe(count, v.maxValue(MOST_INSTANCES));
const name = v.pipe(v.string(), v.minLength(1), v.maxLength(200));
const strings = v.array(v.string());
const nullable = <S extends v.GenericSchema>(schema: S): v.NullableSchema<S, undefined> =>
  v.nullable(schema, undefined);
const nothing = v.strictObject({});
/** Whatever their names: v.record leaves out some, as `constructor`. */
const variables = v.pipe(
  v.custom<Record<string, string>>(
    (given) => typeof given === 'object' && given !== null && !Array.isArray(given),
    'expected variables',
  ),
  v.rawCheck(({ dataset, addIssue }) => {
    for (const [key, value] of dataset.typed ? Object.entries(dataset.value) : []) {
      const place = { type: 'object', origin: 'value', input: {}, key, value } as const;
      if (typeof value !== 'string') addIssue({ message: 'expected a text', path: [place] });
    }
  }),
);

const port = nullable(v.pipe(count, v.maxValue(65_535)));
const checks = [
  v.object({ kind: v.literal('http'), path: v.string(), port, tls: v.boolean() }),
  v.object({ kind: v.literal('tcp'), port }),
  v.object({ kind: v.literal('command'), command: v.string() }),
] as const;
const pattern = v.pipe(
  v.string(),
  v.check((given) => isPattern(given), 'expected a regular expression'),
);
const readiness = v.object({
  check: v.variant('kind', [
    ...checks,
    v.object({ kind: v.literal('fd'), fd: v.pipe(count, v.minValue(3), v.maxValue(255)) }),
    v.object({ kind: v.literal('log'), pattern }),
  ]),
  intervalMs: count,
  timeoutMs: count,
  deadlineMs: count,
});
const liveness = v.object({
  check: nullable(v.variant('kind', checks)),
  intervalMs: count,
  timeoutMs: count,
  failures: count,
  eventLoopMs: nullable(count),
});

const appSpec = v.object({
  name,
  namespace: name,
  mode: v.picklist(['fork', 'cluster']),
  instances,
  program: v.object({
    script: v.string(),
    exec: v.pipe(v.string(), v.minLength(1)),
    runtime: v.picklist(['node', 'other']),
    interpreterArgs: strings,
    args: strings,
    cwd: v.string(),
    release: nullable(v.object({ script: v.string(), cwd: v.string() })),
  }),
  env: variables,
  instanceVar: v.string(),
  incrementVar: nullable(v.string()),
  logs: v.object({
    out: nullable(v.string()),
    error: nullable(v.string()),
    combined: nullable(v.string()),
    merge: v.boolean(),
    type: v.picklist(['plain', 'json']),
    dateFormat: nullable(v.string()),
    rotation: v.object({
      maxBytes: nullable(count),
      interval: v.picklist(['never', 'hourly', 'daily', 'weekly', 'monthly']),
      compress: v.boolean(),
      retain: nullable(count),
      maxAgeMs: nullable(count),
      maxTotalBytes: nullable(count),
      maxTotalAllBytes: nullable(count),
    }),
    bufferBytes: nullable(count),
    journald: v.boolean(),
    syslog: nullable(v.string()),
  }),
  restart: v.object({
    autorestart: v.boolean(),
    minUptimeMs: count,
    maxRestarts: count,
    // Not in what was written before it was known.
    erroredRetry: v.optional(v.boolean(), true),
    delayMs: count,
    backoffMs: count,
    stopExitCodes: v.array(v.number()),
  }),
  stop: v.object({
    signal: v.pipe(
      v.string(),
      v.check((given) => signalName(given) === given, 'expected the name of a signal'),
    ),
    killTimeoutMs: count,
    shutdownWithMessage: v.boolean(),
    treekill: v.boolean(),
    mainFirst: v.optional(v.boolean(), false),
  }),
  ready: v.object({ waitReady: v.boolean(), listenTimeoutMs: count, probe: nullable(readiness) }),
  liveness: nullable(liveness),
  drain: v.object({ timeoutMs: count, streamTimeoutMs: count, moveConnections: v.optional(v.boolean(), true) }),
  rollout: v.object({ maxSurge: count, maxUnavailable: count, minReadyMs: count }),
  balance: v.object({ mode: v.picklist(['auto', 'rr', 'kernel', 'sticky']), cookie: nullable(v.string()) }),
  maxMemoryBytes: nullable(count),
  cron: nullable(v.string()),
  autostart: v.boolean(),
  uid: nullable(count),
  gid: nullable(count),
  pidFile: nullable(v.string()),
}) satisfies v.GenericSchema<unknown, AppSpec>;

/** Of new ones: what is on record was taken once. */
function hasGoodNames({ name, namespace }: Pick<AppSpec, 'name' | 'namespace'>): boolean {
  return nameProblem(name) === null && nameProblem(namespace) === null;
}

export const appRecord = v.object({
  key: v.pipe(v.string(), v.regex(/^[a-z0-9]{1,10}$/)),
  spec: appSpec,
  slots: v.array(v.object({ id: count, index: count, wanted: v.picklist(['up', 'down']) })),
  createdAt: v.number(),
  previous: nullable(appSpec),
  // Not in what was written before they were known.
  unproven: v.optional(v.nullable(v.object({ served: nullable(appSpec) })), null),
  failedReload: v.optional(v.nullable(v.picklist(['spared', 'mixed'])), null),
  origin: nullable(v.string()),
}) satisfies v.GenericSchema<unknown, AppRecord>;

const kind = v.picklist(['start', 'restart', 'reload', 'stop', 'delete', 'reset']);
const selectors = v.object({ selectors: strings });

function isPattern(given: string): boolean {
  try {
    return Boolean(new RegExp(given));
  } catch {
    return false;
  }
}

type ParamSchemas<Methods extends Record<string, { params: unknown }>> = {
  readonly [M in keyof Methods]: v.GenericSchema<unknown, Methods[M]['params']>;
};

const specs = v.array(
  v.pipe(
    appSpec,
    v.check((spec) => hasGoodNames(spec), 'expected names as docs/security.md has them'),
  ),
);

export const daemonParams: ParamSchemas<DaemonMethodsMap> = {
  ping: nothing,
  list: nothing,
  describe: selectors,
  stage: v.object({ specs }),
  apply: v.object({
    specs,
    existing: v.picklist(['error', 'restart', 'reload']),
    origin: v.optional(v.string()),
    canaryMs: v.optional(count),
    sparesReload: v.optional(v.boolean()),
  }),
  operate: v.object({
    kind,
    selectors: strings,
    env: v.optional(variables),
    canaryMs: v.optional(count),
    sparesReload: v.optional(v.boolean()),
  }),
  rollback: v.object({ selectors: strings, force: v.optional(v.boolean()) }),
  scale: v.object({
    selector: v.string(),
    change: v.variant('kind', [
      v.object({ kind: v.literal('to'), count: instances }),
      v.object({ kind: v.literal('by'), delta: v.pipe(v.number(), v.integer(), v.maxValue(MOST_INSTANCES)) }),
    ]),
  }),
  signal: v.object({ selectors: strings, signal: v.string() }),
  flush: selectors,
  reloadLogs: nothing,
  leave: v.strictObject({ whenIdle: v.optional(v.boolean()) }),
  updateSupervisors: nothing,
  kill: nothing,
  save: v.object({ force: v.boolean() }),
  resurrect: nothing,
  cleardump: nothing,
};

export const supervisorParams: ParamSchemas<SupervisorMethodsMap> = {
  adopt: v.object({ daemonCommand: v.pipe(strings, v.minLength(1)), separately: v.optional(v.boolean()) }),
  apps: nothing,
  run: v.object({
    kind,
    apps: v.array(appRecord),
    ids: v.array(count),
    canaryMs: v.optional(count),
    why: v.optional(v.string()),
    sparesReload: v.optional(v.boolean()),
  }),
  signal: v.object({ ids: v.array(count), signal: v.string() }),
  reopenLogs: nothing,
  release: nothing,
  handOver: nothing,
  shutdown: nothing,
};

type DaemonMethodsMap = { [M in keyof DaemonMethods]: DaemonMethods[M] };
type SupervisorMethodsMap = { [M in keyof SupervisorMethods]: SupervisorMethods[M] };

/** @throws UpkeepError PROTOCOL_MALFORMED that names the field, what came and what was expected. */
export function validate<T>(schema: v.GenericSchema<unknown, T>, value: unknown, what: string): T {
  const result = v.safeParse(schema, value);
  if (result.success) return result.output;
  const [issue] = result.issues;
  const path = v.getDotPath(issue) ?? '';
  throw new UpkeepError('PROTOCOL_MALFORMED', `${what}${path && `.${path}`}: ${issue.message}`);
}
