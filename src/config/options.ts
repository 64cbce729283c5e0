import * as v from 'valibot';
import * as value from './values.ts';

/**
 * The options of an app, under the one name that upkeep uses, with their other names. Each is also known in camelCase.
 * The names are pm2's.
 */
const anyOf = <Word extends string>(...words: [Word, ...Word[]]): v.GenericSchema<unknown, Word> =>
  v.picklist(words, `expected ${words.join(' or ')}`);

export const SCHEMAS = {
  script: value.text,
  name: value.name,
  namespace: value.name,
  cwd: value.text,
  args: value.words,
  interpreter: value.text,
  interpreter_args: value.words,
  source_map_support: value.flag,
  exec_mode: anyOf('fork', 'cluster', 'fork_mode', 'cluster_mode'),
  instances: value.instances,
  env: value.env,
  filter_env: v.union([value.flag, value.words], 'expected true or a list of prefixes'),
  pass_env: value.words,
  increment_var: value.variable,
  instance_var: value.variable,
  append_env_to_name: value.flag,
  out_file: value.text,
  error_file: value.text,
  log_file: v.union([v.boolean(), value.text], 'expected true, false or a path'),
  merge_logs: value.flag,
  disable_logs: value.flag,
  time: value.flag,
  log_date_format: value.dateFormat,
  log_type: anyOf('json', 'plain', 'raw'),
  log_max_size: value.logSize,
  log_rotate_interval: anyOf('never', 'hourly', 'daily', 'weekly', 'monthly'),
  log_compress: value.flag,
  log_retain: v.union([v.literal('all'), value.count], 'expected a whole number, or all'),
  log_max_age: value.logAge,
  log_max_total: value.logSize,
  log_max_total_all: value.logSize,
  log_mode: anyOf('blocking', 'non-blocking'),
  log_max_buffer_size: value.size,
  log_journald: value.flag,
  log_syslog: value.syslog,
  pid_file: value.text,
  autostart: value.flag,
  autorestart: value.flag,
  min_uptime: value.duration,
  max_restarts: value.count,
  errored_retry: value.flag,
  restart_delay: value.duration,
  exp_backoff_restart_delay: value.duration,
  stop_exit_codes: value.codes,
  kill_timeout: value.duration,
  kill_signal: value.signal,
  shutdown_with_message: value.flag,
  treekill: value.treekill,
  wait_ready: value.flag,
  listen_timeout: value.duration,
  readiness: value.readiness,
  liveness: value.liveness,
  drain_timeout: value.duration,
  stream_timeout: value.duration,
  move_connections: value.flag,
  max_surge: value.count,
  max_unavailable: value.count,
  min_ready: value.duration,
  balance: anyOf('auto', 'rr', 'kernel', 'sticky'),
  sticky_cookie: value.text,
  max_memory_restart: value.size,
  cron_restart: value.cron,
  uid: value.textOrNumber,
  gid: value.textOrNumber,
} as const satisfies Record<string, v.GenericSchema>;

export type OptionName = keyof typeof SCHEMAS;

/** What a file or the flags say of one app, checked but not completed. */
export type AppOptions = { readonly [Name in OptionName]?: v.InferOutput<(typeof SCHEMAS)[Name]> };

const ALIASES: Readonly<Record<string, OptionName>> = {
  exec: 'script',
  cmd: 'script',
  command: 'script',
  exec_interpreter: 'interpreter',
  node_args: 'interpreter_args',
  out: 'out_file',
  output: 'out_file',
  out_log: 'out_file',
  error: 'error_file',
  err: 'error_file',
  err_file: 'error_file',
  err_log: 'error_file',
  log: 'log_file',
  combine_logs: 'merge_logs',
  pid: 'pid_file',
  user: 'uid',
  cron: 'cron_restart',
};

/** Options of pm2 that change what an app does, and that upkeep does not have yet: said when they are used. */
const NOT_YET: readonly string[] =
  'watch ignore_watch watch_options watch_delay post_update port name_prefix install_url execute_command write'.split(
    ' ',
  );

/** Options of pm2 that mean nothing here, and do no harm. */
const WITHOUT_MEANING: readonly string[] = (
  'pmx automation vizion trace disable_trace v8 event_loop_inspector deep_monitoring io ' +
  'disable_source_map_support windowsHide force kill_retry_time username'
).split(' ');

export type KeyMeaning =
  | { readonly kind: 'option'; readonly name: OptionName }
  /** `env_production`, chosen by `--env production`. */
  | { readonly kind: 'env'; readonly environment: string }
  | { readonly kind: 'not-yet' }
  | { readonly kind: 'without-meaning' }
  | { readonly kind: 'unknown' };

export function meaningOf(key: string): KeyMeaning {
  const snake = key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  for (const form of [key, snake]) {
    const name = ALIASES[form] ?? form;
    if (isOption(name)) return { kind: 'option', name };
    if (NOT_YET.includes(form)) return { kind: 'not-yet' };
    if (WITHOUT_MEANING.includes(form)) return { kind: 'without-meaning' };
  }
  const environment = /^env_(.+)$/.exec(key)?.[1];
  return environment === undefined ? { kind: 'unknown' } : { kind: 'env', environment };
}

/** All names under which an option may stand in a file. */
export function knownKeys(): string[] {
  return [...Object.keys(SCHEMAS), ...Object.keys(ALIASES), ...NOT_YET, ...WITHOUT_MEANING];
}

function isOption(name: string): name is OptionName {
  return Object.hasOwn(SCHEMAS, name);
}
