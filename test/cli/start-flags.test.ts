import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { Command } from 'commander';
import { readFlags } from '../../src/cli/start-flags.ts';
import { START_OPTIONS } from '../../src/cli/start-options.ts';
import { meaningOf, SCHEMAS } from '../../src/config/options.ts';

/** Options of a file that the command line has other ways to give. */
const NO_FLAGS: ReadonlySet<string> = new Set(['script', 'args', 'env', 'pass_env']);

/** What each takes, where that is no flag. */
const VALUES: Readonly<Record<string, string>> = {
  name: 'api',
  namespace: 'web',
  cwd: '/srv',
  interpreter: 'node',
  interpreter_args: '--no-warnings',
  exec_mode: 'cluster',
  instances: '2',
  filter_env: 'AWS_',
  increment_var: 'PORT',
  instance_var: 'INSTANCE',
  out_file: 'out.log',
  error_file: 'error.log',
  log_file: 'all.log',
  log_date_format: 'HH:mm',
  log_type: 'json',
  log_max_size: '1M',
  log_rotate_interval: 'daily',
  log_retain: '3',
  log_max_age: '7d',
  log_max_total: '10M',
  log_max_total_all: '20M',
  log_mode: 'non-blocking',
  log_max_buffer_size: '1M',
  log_syslog: 'udp://localhost:514',
  pid_file: 'api.pid',
  min_uptime: '2s',
  max_restarts: '3',
  restart_delay: '100',
  exp_backoff_restart_delay: '100',
  stop_exit_codes: '0',
  kill_timeout: '2s',
  kill_signal: 'SIGTERM',
  listen_timeout: '5s',
  readiness: '{"http": "/ready"}',
  liveness: '{"tcp": true}',
  drain_timeout: '5s',
  stream_timeout: '5s',
  max_surge: '2',
  max_unavailable: '1',
  min_ready: '3s',
  balance: 'rr',
  sticky_cookie: 'sid',
  max_memory_restart: '300M',
  cron_restart: '0 4 * * *',
  uid: 'nobody',
  gid: 'nogroup',
};
const ON_BY_DEFAULT: ReadonlySet<string> = new Set([
  'autostart',
  'autorestart',
  'move_connections',
  'treekill',
  'log_compress',
  'errored_retry',
]);

function parse(argv: readonly string[]) {
  const command = new Command('start').exitOverride().configureOutput({ writeErr: () => {} });
  for (const [flags, description] of START_OPTIONS) command.option(flags, description);
  return readFlags(command.parse(argv, { from: 'user' }).opts(), 'app.js', []).options;
}

/** The names in the first column of the table of configuration.md. */
function documented(): readonly string[] {
  const table = readFileSync('docs/configuration.md', 'utf8').split('\n\n')[2] ?? '';
  const cells = table
    .split('\n')
    .slice(2)
    .map((row) => row.split('|')[1] ?? '');
  return cells.flatMap((cell) => [...cell.matchAll(/`(\w+)`/g)].map(([, name]) => name as string));
}

describe('each option of configuration.md is a flag of start', () => {
  const options = documented().filter((name) => {
    const meaning = meaningOf(name);
    return meaning.kind === 'option' && !NO_FLAGS.has(meaning.name);
  });
  for (const option of options)
    test(option, () => {
      const meaning = meaningOf(option);
      assert.ok(meaning.kind === 'option');
      const flag = option.replaceAll('_', '-');
      const argv = ON_BY_DEFAULT.has(option) ? [`--no-${flag}`] : [`--${flag}`, ...[VALUES[meaning.name] ?? []].flat()];
      assert.notEqual(parse(argv)[meaning.name], undefined);
    });

  test('and each option is there', () => {
    const there = new Set(documented().flatMap((name) => (meaningOf(name) as { name?: string }).name ?? []));
    assert.deepEqual(
      Object.keys(SCHEMAS).filter((name) => !there.has(name)),
      [],
    );
  });
});

test('a readiness that is no JSON is told', () => {
  assert.throws(() => parse(['--readiness', 'http:/ready']), {
    code: 'USAGE',
    message: '--readiness: expected JSON, such as \'{"http": "/healthz"}\', got "http:/ready"',
  });
});
