import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import type { AppOptions } from '../../src/config/options.ts';
import { type ResolveContext, resolveApp } from '../../src/config/resolve-app.ts';
import { DEFAULTS } from '../../src/domain/app-spec.ts';
import { tempFolder } from '../fakes/temp-folder.ts';

type Environments = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** Resolves apps in a folder that has an `app.js` and a `job.py`. */
function resolver(t: TestContext, changes: Partial<ResolveContext> = {}) {
  const folder = tempFolder(t);
  for (const file of ['app.js', 'job.py']) writeFileSync(join(folder, file), '');
  mkdirSync(join(folder, 'bin'));
  writeFileSync(join(folder, 'bin', 'python3'), '', { mode: 0o755 });
  const env = { PATH: join(folder, 'bin'), HOME: '/home/me' };
  const context = {
    folder,
    env,
    cpus: 4,
    execPath: '/opt/node',
    logFolder: '/logs',
    own: { uid: 0, gid: 0 },
    environment: null,
    declaredEnv: false,
    ...changes,
  };
  const resolve = (options: AppOptions, environments: Environments = {}) =>
    resolveApp({ script: 'app.js', ...options }, environments, context, 'app 1');
  const nothing = () => resolveApp({}, {}, context, 'app 1');
  return { folder, resolve, nothing, env };
}

const LOG_DEFAULTS = {
  type: 'plain',
  dateFormat: null,
  rotation: {
    maxBytes: DEFAULTS.logMaxBytes,
    interval: 'never',
    compress: true,
    retain: DEFAULTS.logRetain,
    maxAgeMs: null,
    maxTotalBytes: DEFAULTS.logMaxTotalBytes,
    maxTotalAllBytes: DEFAULTS.logMaxTotalAllBytes,
  },
  bufferBytes: null,
  journald: false,
  syslog: null,
} as const;

test('a script alone gets the defaults', (t) => {
  const { folder, resolve, env } = resolver(t);
  assert.deepEqual(resolve({}), {
    name: 'app',
    namespace: 'default',
    mode: 'fork',
    instances: 1,
    program: {
      script: join(folder, 'app.js'),
      exec: '/opt/node',
      runtime: 'node',
      interpreterArgs: [],
      args: [],
      cwd: folder,
      release: null,
    },
    env,
    instanceVar: 'NODE_APP_INSTANCE',
    incrementVar: null,
    logs: {
      out: '/logs/app-out.log',
      error: '/logs/app-error.log',
      combined: null,
      merge: false,
      ...LOG_DEFAULTS,
    },
    restart: {
      autorestart: true,
      minUptimeMs: 1000,
      maxRestarts: 16,
      erroredRetry: true,
      delayMs: 0,
      backoffMs: 0,
      stopExitCodes: [],
    },
    stop: { signal: 'SIGINT', killTimeoutMs: 1600, shutdownWithMessage: false, treekill: true, mainFirst: false },
    ready: { waitReady: false, listenTimeoutMs: 3000, probe: null },
    liveness: null,
    drain: { timeoutMs: 30_000, streamTimeoutMs: 60_000, moveConnections: true },
    rollout: { maxSurge: 1, maxUnavailable: 0, minReadyMs: 0 },
    balance: { mode: 'auto', cookie: null },
    maxMemoryBytes: null,
    cron: null,
    autostart: true,
    uid: null,
    gid: null,
    pidFile: null,
  });
});

test('what is given goes before the defaults', (t) => {
  const { folder, resolve } = resolver(t);
  const spec = resolve({
    name: 'api',
    namespace: 'web',
    min_uptime: 5000,
    max_restarts: 3,
    restart_delay: 100,
    exp_backoff_restart_delay: 200,
    stop_exit_codes: [0],
    autorestart: false,
    kill_signal: 'SIGTERM',
    kill_timeout: 9000,
    shutdown_with_message: true,
    treekill: false,
    wait_ready: true,
    listen_timeout: 8000,
    readiness: { http: '/ready', port: 3000, timeout: 1000, deadline: 60_000 },
    liveness: { tcp: true, event_loop: 5000, failures: 2 },
    drain_timeout: 120_000,
    move_connections: false,
    max_unavailable: 2,
    min_ready: 10_000,
    sticky_cookie: 'io',
    max_memory_restart: 1.5 * 1024 ** 3,
    cron_restart: '0 4 * * *',
    autostart: false,
    uid: '1000',
    gid: '1001',
    pid_file: 'api.pid',
    instance_var: 'INSTANCE',
    increment_var: 'PORT',
  });
  assert.deepEqual(
    {
      ...spec,
      program: null,
      env: null,
      logs: null,
    },
    {
      name: 'api',
      namespace: 'web',
      mode: 'fork',
      instances: 1,
      program: null,
      env: null,
      instanceVar: 'INSTANCE',
      incrementVar: 'PORT',
      logs: null,
      restart: {
        autorestart: false,
        minUptimeMs: 5000,
        maxRestarts: 3,
        erroredRetry: true,
        delayMs: 100,
        backoffMs: 200,
        stopExitCodes: [0],
      },
      stop: { signal: 'SIGTERM', killTimeoutMs: 9000, shutdownWithMessage: true, treekill: false, mainFirst: false },
      ready: {
        waitReady: true,
        listenTimeoutMs: 8000,
        probe: {
          check: { kind: 'http', path: '/ready', port: 3000, tls: false },
          intervalMs: 500,
          timeoutMs: 1000,
          deadlineMs: 60_000,
        },
      },
      liveness: {
        check: { kind: 'tcp', port: null },
        intervalMs: 10_000,
        timeoutMs: 2000,
        failures: 2,
        eventLoopMs: 5000,
      },
      drain: { timeoutMs: 120_000, streamTimeoutMs: 120_000, moveConnections: false },
      rollout: { maxSurge: 0, maxUnavailable: 2, minReadyMs: 10_000 },
      balance: { mode: 'sticky', cookie: 'io' },
      maxMemoryBytes: 1.5 * 1024 ** 3,
      cron: '0 4 * * *',
      autostart: false,
      uid: 1000,
      gid: 1001,
      pidFile: join(folder, 'api.pid'),
    },
  );
});

describe('the mode', () => {
  const rows: readonly (readonly [what: string, options: AppOptions, mode: string, instances: number])[] = [
    ['is fork', {}, 'fork', 1],
    ['is cluster where instances were asked for', { instances: 2 }, 'cluster', 2],
    ['is cluster even for one', { instances: 1 }, 'cluster', 1],
    ['is cluster for all CPUs', { instances: 'max' }, 'cluster', 4],
    ['is cluster for all CPUs but one', { instances: -1 }, 'cluster', 3],
    ['is cluster where that was asked for', { exec_mode: 'cluster' }, 'cluster', 1],
    ['is known by its long name', { exec_mode: 'cluster_mode' }, 'cluster', 1],
    ['is fork where that was asked for', { exec_mode: 'fork', instances: 2 }, 'fork', 2],
    ['is fork for what is not Node.js', { script: 'job.py', instances: 2 }, 'fork', 2],
  ];
  for (const [what, options, mode, instances] of rows)
    test(what, (t) => {
      const spec = resolver(t).resolve(options);
      assert.deepEqual([spec.mode, spec.instances], [mode, instances]);
    });

  test('cluster is refused for what is not Node.js, where that was asked for', (t) => {
    const { resolve } = resolver(t);
    assert.throws(() => resolve({ script: 'job.py', exec_mode: 'cluster' }), { code: 'NOT_CLUSTERABLE' });
  });
});

describe('the environment', () => {
  const world = {
    PATH: '/bin',
    HOME: '/home/me',
    LANG: 'C',
    SECRET: 's',
    AWS_KEY: 'k',
    UPKEEP_HOME: '/up',
    UPKEEP_RUN: '0123456789abcdef',
    pm_id: '3',
    name: 'caller',
    GONE: undefined,
  };
  const envOf = (
    t: TestContext,
    options: AppOptions,
    environments: Environments = {},
    environment: string | null = null,
  ) => resolver(t, { env: world, environment }).resolve(options, environments).env;
  const basics = { PATH: '/bin', HOME: '/home/me', LANG: 'C', UPKEEP_HOME: '/up' };
  const all = { ...basics, SECRET: 's', AWS_KEY: 'k' };

  test("is the command's, without what marks the run of the caller", (t) => {
    assert.deepEqual(envOf(t, {}), all);
  });

  test("is overridden by the app's, and that by the chosen one", (t) => {
    const env = { LANG: 'de', A: '1', B: '1' };
    const environments = { production: { B: '2', C: '2' }, staging: { B: '3' } };
    assert.deepEqual(envOf(t, { env }, environments), { ...all, LANG: 'de', A: '1', B: '1' });
    assert.deepEqual(envOf(t, { env }, environments, 'production'), { ...all, LANG: 'de', A: '1', B: '2', C: '2' });
    assert.deepEqual(envOf(t, { env }, environments, 'unknown'), { ...all, LANG: 'de', A: '1', B: '1' });
  });

  test('is filtered by prefix, or down to the basics; what the app names itself stays', (t) => {
    const env = { AWS_REGION: 'eu' };
    assert.deepEqual(envOf(t, { env, filter_env: ['AWS', 'SEC'] }), {
      ...basics,
      ...env,
    });
    assert.deepEqual(envOf(t, { env, filter_env: true }), { ...basics, ...env });
    assert.deepEqual(envOf(t, { env, filter_env: false }), { ...all, ...env });
  });

  test('makes Python write its lines at once, unless told otherwise', (t) => {
    const { resolve } = resolver(t);
    assert.equal(resolve({ script: 'job.py' }).env['PYTHONUNBUFFERED'], '1');
    assert.equal(resolve({ script: 'job.py', env: { PYTHONUNBUFFERED: '' } }).env['PYTHONUNBUFFERED'], '');
    assert.equal(resolve({}).env['PYTHONUNBUFFERED'], undefined);
  });

  test('is where the interpreter is looked for', (t) => {
    const { folder, resolve } = resolver(t);
    mkdirSync(join(folder, 'other'));
    writeFileSync(join(folder, 'other', 'node'), '', { mode: 0o755 });
    assert.equal(resolve({ env: { PATH: join(folder, 'other') } }).program.exec, join(folder, 'other', 'node'));
  });
});

describe('the logs', () => {
  const rows: readonly (readonly [what: string, options: AppOptions, out: string | null, combined: string | null])[] = [
    ['are named for the app', { name: 'api' }, '/logs/api-out.log', null],
    ['are in no other folder, whatever the name', { name: '../x/y' }, '/logs/%2E.%2Fx%2Fy-out.log', null],
    ['may be off', { disable_logs: true, log_file: true }, null, null],
    ['may go nowhere', { out_file: '/dev/null' }, null, null],
    ['may go nowhere by word', { out_file: 'NULL' }, null, null],
    ['may be combined', { log_file: true }, '/logs/app-out.log', '/logs/app.log'],
    ['may be combined in a file', { log_file: '/var/all.log' }, '/logs/app-out.log', '/var/all.log'],
    ['may be not combined', { log_file: false }, '/logs/app-out.log', null],
  ];
  for (const [what, options, out, combined] of rows)
    test(what, (t) => {
      const { logs } = resolver(t).resolve(options);
      assert.deepEqual([logs.out, logs.combined], [out, combined]);
    });

  test('start at the working directory of the app', (t) => {
    const { folder, resolve } = resolver(t);
    mkdirSync(join(folder, 'sub'));
    const { logs } = resolve({
      script: '../app.js',
      cwd: 'sub',
      out_file: 'out.log',
      error_file: './e/err.log',
      merge_logs: true,
    });
    assert.deepEqual(logs, {
      out: join(folder, 'sub/out.log'),
      error: join(folder, 'sub/e/err.log'),
      combined: null,
      merge: true,
      ...LOG_DEFAULTS,
    });
  });

  test('are set aside, kept and written as was asked for', (t) => {
    const { resolve } = resolver(t);
    const { rotation, type, dateFormat, bufferBytes } = resolve({
      log_max_size: 0,
      log_rotate_interval: 'daily',
      log_compress: false,
      log_retain: 'all',
      log_max_age: 1000,
      log_max_total: 0,
      log_max_total_all: 1,
      log_mode: 'non-blocking',
      log_type: 'json',
      time: true,
    }).logs;
    assert.deepEqual(rotation, {
      maxBytes: null,
      interval: 'daily',
      compress: false,
      retain: null,
      maxAgeMs: 1000,
      maxTotalBytes: null,
      maxTotalAllBytes: 1,
    });
    assert.deepEqual([type, dateFormat, bufferBytes], ['json', DEFAULTS.dateFormat, DEFAULTS.logBufferBytes]);
  });

  test('have the time in the format that was asked for, or as with pm2', (t) => {
    const { resolve } = resolver(t);
    assert.equal(resolve({ log_date_format: 'HH:mm', time: true }).logs.dateFormat, 'HH:mm');
    assert.equal(resolve({ log_date_format: 'HH:mm' }).logs.dateFormat, 'HH:mm');
    assert.equal(resolve({ time: false }).logs.dateFormat, null);
  });
});

describe('the name', () => {
  test('may carry the environment', (t) => {
    const { resolve } = resolver(t, { environment: 'production' });
    assert.equal(resolve({ append_env_to_name: true }).name, 'app-production');
    assert.equal(resolve({}).name, 'app');
    assert.equal(resolver(t).resolve({ append_env_to_name: true }).name, 'app');
  });
});

describe('the signal', () => {
  test('may come from the environment of the command, as with pm2', (t) => {
    const { resolve } = resolver(t, { env: { PM2_KILL_SIGNAL: 'SIGQUIT' } });
    assert.equal(resolve({}).stop.signal, 'SIGQUIT');
    assert.equal(resolve({ kill_signal: 'SIGUSR2' }).stop.signal, 'SIGUSR2');
  });
});

test('wait_ready is refused for what is not Node.js, which cannot send the word', (t) => {
  const { resolve } = resolver(t);
  assert.throws(() => resolve({ script: 'job.py', wait_ready: true }), {
    code: 'CONFIG_INVALID',
    message: "app 1: wait_ready: only Node.js apps can send 'ready'",
  });
  assert.equal(resolve({ script: 'job.py', wait_ready: false }).ready.waitReady, false);
});

describe('user and group', () => {
  test('may be names that the system knows', { skip: process.platform !== 'linux' }, (t) => {
    const { uid, gid } = resolver(t).resolve({ uid: 'root', gid: 'root' });
    assert.deepEqual([uid, gid], [0, 0]);
  });

  test('a user alone has its own group, and the variables that say who it is', {
    skip: process.platform !== 'linux',
  }, (t) => {
    const { uid, gid, env } = resolver(t, { env: { HOME: '/home/me', USER: 'me', PATH: '' } }).resolve({
      uid: 'daemon',
      env: { LOGNAME: 'declared' },
    });
    const { HOME, USER, LOGNAME } = env;
    assert.deepEqual(
      { uid, gid, HOME, USER, LOGNAME },
      { uid: 1, gid: 1, HOME: '/usr/sbin', USER: 'daemon', LOGNAME: 'declared' },
    );
  });

  test('others are for root only; whoever names himself has said nothing', (t) => {
    const { resolve } = resolver(t, { own: { uid: 4321, gid: 4322 } });
    const own = resolve({ uid: '4321', gid: '4322' });
    assert.deepEqual([own.uid, own.gid, own.env['HOME']], [null, null, '/home/me']);
    for (const options of [{ uid: '0' }, { uid: '4321', gid: '0' }, { gid: '0' }]) {
      assert.throws(() => resolve(options), {
        code: 'CONFIG_INVALID',
        message: 'app 1: only root may run an app as another user or group',
      });
    }
  });

  test('of a number that is no user the group must be named', (t) => {
    const { resolve } = resolver(t);
    assert.throws(() => resolve({ uid: '54321' }), {
      code: 'CONFIG_INVALID',
      message: 'app 1: uid: the system knows no user 54321, and so no group of it',
    });
    const { uid, gid, env } = resolve({ uid: '54321', gid: '54322' });
    assert.deepEqual([uid, gid, env['HOME'], env['USER']], [54321, 54322, '/', '54321']);
  });

  test('that nobody knows are refused', (t) => {
    const { resolve } = resolver(t);
    for (const key of ['uid', 'gid'] as const)
      assert.throws(() => resolve({ [key]: 'no-such-one' }), {
        code: 'CONFIG_INVALID',
        message: `app 1: ${key}: the system knows no "no-such-one"`,
        hint: 'name one that it knows, or a number',
      });
  });
});

describe('what is missing is told', () => {
  test('a script', (t) => {
    const { resolve, nothing } = resolver(t);
    assert.throws(nothing, {
      code: 'CONFIG_INVALID',
      message: 'app 1: script is missing',
    });
    assert.throws(() => resolve({ script: 'gone.js' }), { code: 'SCRIPT_NOT_FOUND' });
  });

  test('a working directory', (t) => {
    const { folder, resolve } = resolver(t);
    assert.throws(() => resolve({ cwd: 'gone' }), {
      code: 'CONFIG_INVALID',
      message: `app 1: cwd: there is no folder ${join(folder, 'gone')}`,
    });
  });
});
