import assert from 'node:assert/strict';
import { readFileSync, rmSync, statSync, truncateSync } from 'node:fs';
import { test } from 'node:test';
import type { InstanceView } from '../../src/protocol/messages.ts';
import { fixture, type Sandbox, sandbox } from './harness.ts';
import { commandLine, isAlive, processesWith } from './processes.ts';
import { get, startLoad } from './requests.ts';
import { sorted } from './sorted.ts';
import { until } from './until.ts';

const identity = (rows: readonly InstanceView[]) =>
  rows.map(({ id, index, name, mode, pid, restarts, state }) => [id, index, name, mode, pid, restarts, state.kind]);

const daemons = (box: Sandbox) => processesWith(box.home).filter((pid) => commandLine(pid).startsWith('upkeep daemon'));

async function startBoth(box: Sandbox): Promise<void> {
  await box.ok('start', fixture('counts-requests.js'), '--name', 'web', '-i', '2');
  await box.ok('start', fixture('ignores-sigint.js'), '--name', 'job', '--kill-timeout', '200');
  await box.ok('restart', 'job');
}

test('SIGKILL of the daemon: requests go on, and the next command shows the same pids, ids and counters', async (t) => {
  const box = await sandbox(t);
  await startBoth(box);
  const before = await box.rows();
  const load = startLoad(t, box.port);
  for (let round = 0; round < 3; round++) {
    const daemon = await box.daemonPid();
    process.kill(daemon, 'SIGKILL');
    assert.deepEqual(identity(await box.rows()), identity(before));
    assert.notEqual(await box.daemonPid(), daemon);
  }
  const { failures, bodies } = await load.stop();
  assert.deepEqual(failures, []);
  const last = new Map<number, number>();
  for (const body of bodies) {
    const { pid, count } = JSON.parse(body) as { pid: number; count: number };
    last.set(pid, Math.max(last.get(pid) ?? 0, count));
  }
  assert.equal(
    [...last.values()].reduce((sum, count) => sum + count, 0),
    bodies.length,
    'no worker lost its memory',
  );
});

test('a supervisor brings a daemon back by itself, and just one', async (t) => {
  const box = await sandbox(t);
  await startBoth(box);
  const before = await box.rows();
  const daemon = await box.daemonPid();
  process.kill(daemon, 'SIGKILL');
  // `ping` asks whether one runs, and starts none.
  await until(async () => (await box.upkeep('ping')).code === 0, 'another daemon');
  assert.notEqual(await box.daemonPid(), daemon);
  assert.deepEqual(identity(await box.rows()), identity(before));
  await until(
    () => daemons(box).length === 1,
    'one daemon',
    () => daemons(box).join(' '),
  );
});

test('all commands work on what the daemon found', async (t) => {
  const box = await sandbox(t);
  await startBoth(box);
  process.kill(await box.daemonPid(), 'SIGKILL');
  await box.ok('reload', 'web');
  await box.ok('scale', 'web', '3');
  await box.ok('restart', 'job');
  assert.deepEqual(
    (await box.rows()).map(({ name, state, restarts }) => [name, state.kind, restarts]),
    [
      ['web', 'online', 1],
      ['web', 'online', 1],
      ['job', 'online', 2],
      ['web', 'online', 0],
    ],
  );
  process.kill(await box.daemonPid(), 'SIGKILL');
  await box.ok('stop', 'all');
  process.kill(await box.daemonPid(), 'SIGKILL');
  assert.ok((await box.rows()).every(({ state }) => state.kind === 'stopped'));
  await box.ok('delete', 'all');
  process.kill(await box.daemonPid(), 'SIGKILL');
  assert.deepEqual(await box.rows(), []);
});

test('an app is started by its name right after the daemon was killed', async (t) => {
  const box = await sandbox(t);
  await startBoth(box);
  await box.ok('stop', 'job');
  const daemon = await box.daemonPid();
  for (const pid of [daemon, ...box.supervisors()]) process.kill(pid, 'SIGSTOP');
  for (const pid of [daemon, ...box.supervisors()]) process.kill(pid, 'SIGKILL');
  assert.match((await box.ok('start', 'job')).stderr, /job started/);
});

test('a crash while the daemon is away is handled all the same', async (t) => {
  const box = await sandbox(t);
  await startBoth(box);
  const before = await box.rows();
  process.kill(await box.daemonPid(), 'SIGKILL');
  for (const { pid } of before) process.kill(pid ?? 0, 'SIGKILL');
  const after = await until(
    async () => {
      const rows = await box.rows();
      return (
        rows.every(({ state }, index) => state.kind === 'online' && rows[index]?.pid !== before[index]?.pid) && rows
      );
    },
    'new processes',
    async () => JSON.stringify(await box.rows()),
  );
  assert.deepEqual(
    after.map(({ id, restarts }) => [id, restarts]),
    before.map(({ id, restarts }) => [id, restarts + 1]),
  );
});

test('log lines that are written meanwhile are kept', async (t) => {
  const box = await sandbox(t);
  const code = 'let n = 0; setInterval(() => console.log(`line ${++n}`), 2);';
  box.write('app.js', code);
  await box.ok('start', 'app.js');
  await box.logged('app-out.log', 'line 50\n');
  for (let round = 0; round < 2; round++) {
    process.kill(await box.daemonPid(), 'SIGKILL');
    await box.rows();
  }
  const next = (box.log('app-out.log').match(/\n/g)?.length ?? 0) + 100;
  const lines = (await box.logged('app-out.log', `line ${next}\n`)).trimEnd().split('\n');
  const whole = lines.slice(0, next);
  assert.deepEqual(
    whole,
    whole.map((_, index) => `line ${index + 1}`),
  );
});

test('a command that the daemon dies under says so, and the app is there once', async (t) => {
  const box = await sandbox(t);
  box.env['GATE'] = `${box.cwd}/gate`;
  const flags = ['--name', 'web', '-i', '2', '--wait-ready', '--listen-timeout', '30000'];
  const started = box.upkeep('start', fixture('ready-when-file.js'), ...flags);
  await box.logged('web-out-0.log', /waits/);
  await box.logged('web-out-1.log', /waits/);
  for (const pid of daemons(box)) process.kill(pid, 'SIGKILL');
  const { code, stderr } = await started;
  assert.notEqual(code, 0);
  assert.match(stderr, /upkeep: .*the daemon ended/);
  box.write('gate', '');
  const rows = await until(async () => {
    const now = await box.rows();
    return now.length > 0 && now.every(({ state }) => state.kind === 'online') && now;
  }, 'the two workers');
  assert.equal(rows.length, 2);
  const workers = processesWith(box.cwd).filter((pid) => commandLine(pid).includes('ready-when-file.js'));
  assert.deepEqual(sorted(workers), sorted(rows.map(({ pid }) => pid)));
});

test('a reload that the daemon dies under is finished by the supervisor', async (t) => {
  const box = await sandbox(t);
  box.env['GATE'] = box.write('gate', '');
  const flags = ['--name', 'web', '-i', '2', '--wait-ready', '--listen-timeout', '30000'];
  await box.ok('start', fixture('ready-when-file.js'), ...flags);
  const before = await box.rows();
  rmSync(`${box.cwd}/gate`);
  const load = startLoad(t, box.port);
  const reloading = box.upkeep('reload', 'web');
  await until(() => box.log('web-out-0.log').match(/waits/g)?.length === 2, 'the first new worker');
  process.kill(await box.daemonPid(), 'SIGKILL');
  assert.notEqual((await reloading).code, 0);
  box.write('gate', '');
  const after = await until(
    async () => {
      const rows = await box.rows();
      return (
        rows.every(
          ({ state, restarts, draining }) => state.kind === 'online' && restarts === 1 && draining.length === 0,
        ) && rows
      );
    },
    'the end of the reload',
    async () => JSON.stringify(await box.rows()) + box.log('web-out-0.log') + box.log('web-out-1.log'),
  );
  assert.deepEqual(
    after.map(({ id }) => id),
    before.map(({ id }) => id),
  );
  await until(() => before.every(({ pid }) => !isAlive(pid ?? 0)), 'the end of the old workers');
  assert.deepEqual((await load.stop()).failures, []);
});

for (const [mode, flags] of [
  ['fork', []],
  ['cluster', ['-i', '2']],
] as const) {
  test(`${mode} mode: SIGKILL of the supervisor: all is there again, nothing twice`, async (t) => {
    const box = await sandbox(t);
    const script = box.write(
      'app.js',
      "require('node:http').createServer((q, s) => s.end('ok')).listen(process.env.PORT, '127.0.0.1');",
    );
    await box.ok('start', 'app.js', ...flags);
    const before = await box.rows();
    const [supervisor = 0] = box.supervisors();
    process.kill(supervisor, 'SIGKILL');
    await until(() => !isAlive(supervisor) && box.supervisors().length === 1, 'another supervisor');
    const after = await until(
      async () => {
        const rows = await box.rows();
        return rows.every(({ state }) => state.kind === 'online') && rows;
      },
      'the instances',
      async () => JSON.stringify(await box.rows()),
    );
    assert.deepEqual(
      after.map(({ id }) => id),
      before.map(({ id }) => id),
    );
    const workers = () => processesWith(script).filter((pid) => commandLine(pid).includes(script));
    assert.deepEqual(sorted(workers()), sorted(after.map(({ pid }) => pid)));
    assert.equal((await get(box.port)).body, 'ok');
  });
}

test('a damaged state file is told from a good one: the one before it is taken', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', fixture('idles.js'), '--no-autostart', '--name', 'one');
  await box.ok('start', fixture('idles.js'), '--no-autostart', '--name', 'two');
  process.kill(await box.daemonPid(), 'SIGKILL');
  const path = `${box.home}/state.json`;
  truncateSync(path, Math.floor(statSync(path).size / 2));
  const names = (await box.rows()).map(({ name }) => name);
  assert.deepEqual(names, ['one']);
  assert.match(readFileSync(`${box.home}/daemon.log`, 'utf8'), /state\.json is damaged/);
});
