import assert from 'node:assert/strict';
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { InstanceView } from '../../src/protocol/messages.ts';
import { fixture, type Sandbox, sandbox } from './harness.ts';
import { isAlive } from './processes.ts';
import { get } from './requests.ts';
import { until } from './until.ts';

async function stateOf(box: Sandbox, kind: InstanceView['state']['kind']): Promise<InstanceView> {
  const probe = async () => (await box.rows()).find((row) => row.state.kind === kind);
  return until(probe, `an instance that is ${kind}`, async () => (await box.ok('list')).stdout);
}

test('a fork-mode app that is killed is there again, under the same id', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', fixture('http-hello.js'), '--name', 'web');
  const [before] = await box.rows();
  process.kill(before?.pid ?? 0, 'SIGKILL');
  const after = await until(
    async () => (await box.rows()).find(({ state, pid }) => state.kind === 'online' && pid !== before?.pid),
    'a new process',
  );
  assert.deepEqual([after.id, after.restarts], [0, 1]);
  assert.deepEqual([after.lastExit?.signal, after.lastExit?.code], ['SIGKILL', null]);
  assert.equal((await get(box.port)).status, 200);
  assert.match((await box.ok('describe', 'web')).stdout, /last exits\s+signal SIGKILL/);
});

test('a worker that crashes is replaced, its siblings go on', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', fixture('exits-when-told.js'), '--name', 'web', '-i', '3');
  const before = await box.rows();
  const { body } = await get({ port: box.port, path: '/exit/7' });
  const crashed = Number(body.replace('pid ', ''));
  const after = await until(async () => {
    const rows = await box.rows();
    return rows.every(({ state, pid }) => state.kind === 'online' && pid !== crashed) && rows;
  }, 'a new worker');
  for (const [index, row] of after.entries()) {
    const old = before[index];
    assert.deepEqual([row.id, row.restarts], [old?.id, old?.pid === crashed ? 1 : 0]);
    if (old?.pid === crashed) assert.equal(row.lastExit?.code, 7);
    else assert.equal(row.pid, old?.pid);
  }
});

test('children of a main process that died do not outlive it', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', fixture('forks-children.sh'), '--name', 'jobs', '--kill-timeout', '300');
  const log = await box.logged('jobs-out.log', /(child \d+\n){3}/);
  const children = [...log.matchAll(/child (\d+)/g)].map((match) => Number(match[1]));
  const [before] = await box.rows();
  process.kill(before?.pid ?? 0, 'SIGKILL');
  await until(async () => (await box.rows()).some(({ restarts, pid }) => restarts === 1 && pid !== null), 'a restart');
  await until(
    () => !children.some(isAlive),
    'the end of the old children',
    () => children.filter(isAlive).join(' '),
  );
});

test('runs that end at once are given up after max_restarts', async (t) => {
  const box = await sandbox(t);
  const { stderr } = await box.fails('start', fixture('throws-at-start.js'), '--name', 'broken', '--max-restarts', '3');
  assert.match(stderr, /the database password is missing/);
  const row = await stateOf(box, 'errored');
  assert.deepEqual([row.restarts, row.pid, row.lastExit?.code], [2, null, 1]);
  const { stdout } = await box.ok('list');
  assert.match(stdout, /│ errored/);
  assert.match(stdout, /broken \(0\) is errored: 3 runs in a row ended before they were ready, or before 1000 ms/);
  const runs = box.log('broken-error.log').match(/Error: the database password is missing/g) ?? [];
  assert.equal(runs.length, 3);
});

test('what is errored is tried again, which is shown; errored_retry off is the end', async (t) => {
  const box = await sandbox(t);
  const flags = ['--name', 'broken', '--max-restarts', '1'];
  const { stderr } = await box.fails('start', fixture('throws-at-start.js'), ...flags);
  assert.match(stderr, /it is tried again, unless you `upkeep delete broken`/);
  const { state } = await stateOf(box, 'errored');
  const nextTryAt = state.kind === 'errored' ? state.nextTryAt : null;
  assert.ok(nextTryAt && nextTryAt > Date.now() && nextTryAt <= Date.now() + 60_000);
  assert.match((await box.ok('list')).stdout, /│ errored, next try \d\d:\d\d │/);
  assert.match((await box.ok('describe', 'broken')).stdout, /next start\s+in (1m|\d+s)$/m);
  assert.equal(JSON.parse((await box.ok('jlist')).stdout)[0].pm2_env.status, 'errored');

  // Another supervisor goes on with that.
  for (const pid of box.supervisors()) process.kill(pid, 'SIGKILL');
  const after = await until(async () => (await box.rows()).find((row) => row.state.kind === 'errored'), 'its list');
  assert.ok(after.state.kind === 'errored' && Math.abs((after.state.nextTryAt ?? 0) - nextTryAt) < 1500);

  await box.fails('start', fixture('throws-at-start.js'), ...flags, '-f', '--no-errored-retry');
  assert.match((await box.ok('list')).stdout, /│ errored │/);
});

test('restart_delay is waited out, and shown', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', fixture('exits-when-told.js'), '--name', 'web', '--restart-delay', '60000');
  await get({ port: box.port, path: '/exit/5' });
  const row = await stateOf(box, 'backoff');
  assert.equal(row.pid, null);
  const { stdout } = await box.ok('list');
  assert.match(stdout, /│ waiting restart │/);
  assert.match(stdout, /web \(0\) exited with code 5; next try in \d+/);
  assert.match((await box.ok('describe', 'web')).stdout, /next start\s+in \d+/);
  assert.equal(JSON.parse((await box.ok('jlist')).stdout)[0].pm2_env.status, 'waiting restart');
  // A command does not wait.
  await box.ok('restart', 'web');
  assert.equal((await box.rows())[0]?.state.kind, 'online');
});

test('exp_backoff_restart_delay waits, and goes on trying', async (t) => {
  const box = await sandbox(t);
  const flags = ['--name', 'broken', '--exp-backoff-restart-delay', '50', '--max-restarts', '4'];
  await box.fails('start', fixture('throws-at-start.js'), ...flags);
  const row = await stateOf(box, 'errored');
  assert.equal(row.restarts, 3);
});

test('stop_exit_codes mean done, other codes a restart', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', fixture('exits-when-told.js'), '--name', 'job', '--stop-exit-codes', '3', '4');
  await get({ port: box.port, path: '/exit/5' });
  await until(
    async () => (await box.rows()).some((row) => row.restarts === 1 && row.state.kind === 'online'),
    'a restart',
  );
  await get({ port: box.port, path: '/exit/4' });
  const row = await stateOf(box, 'stopped');
  assert.equal(row.lastExit?.code, 4);
  assert.equal(row.restarts, 1);
  assert.match(
    (await box.ok('describe', 'job')).stdout,
    /why\s+exited with code 4, which is listed in stop_exit_codes/,
  );
});

for (const [code, kind] of [
  [0, 'stopped'],
  [2, 'errored'],
] as const) {
  test(`with autorestart off, code ${code} leaves the app ${kind}`, async (t) => {
    const box = await sandbox(t);
    await box.ok('start', fixture('exits-when-told.js'), '--name', 'job', '--no-autorestart');
    await get({ port: box.port, path: `/exit/${code}` });
    const row = await stateOf(box, kind);
    assert.deepEqual([row.restarts, row.pid, row.lastExit?.code], [0, null, code]);
  });
}

test('a job that is meant to end, and ends well, is a start that went well', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', fixture('exits-zero.js'), '--name', 'job', '--no-autorestart');
  await stateOf(box, 'stopped');
  assert.equal(box.log('job-out.log'), 'nothing to do\n');
});

test('where no process could be made there is no exit to tell of', async (t) => {
  const box = await sandbox(t);
  // It is there, as `start` looks, but may not be executed.
  box.write('app', `#!${box.write('interpreter', '')}\n`);
  chmodSync(join(box.cwd, 'app'), 0o755);
  const { stderr } = await box.fails(
    'start',
    './app',
    '--interpreter',
    'none',
    '--name',
    'gone',
    '--max-restarts',
    '1',
  );
  assert.match(stderr, /the run could not be started: cannot start/);
  assert.match(stderr, /check the path and its permissions/);
  const { stdout } = await box.ok('describe', 'gone');
  assert.match(stdout, /last exits +no process, .* ago \(cannot start .*\)/);
  assert.doesNotMatch(stdout, /unknown/);
});
