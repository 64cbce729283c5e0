import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fixture, NODE, type Sandbox, sandbox } from './harness.ts';
import { commandLine, isAlive } from './processes.ts';
import { until } from './until.ts';

const DAEMON = join(process.cwd(), 'dist', 'daemon.cjs');

/** What an init system starts; `launcher` is the file whose absence means that it is to keep nothing any more. */
async function kept(t: TestContext, role: 'kept' | 'kept-until-sigterm' = 'kept') {
  const box = await sandbox(t);
  await box.ok('start', fixture('logs-signals.js'), '--name', 'job');
  await box.ok('start', fixture('http-hello.js'), '--name', 'web', '-i', '2');
  const launcher = box.write('launcher.sh', '');
  const start = (): ChildProcess => spawn(NODE, [DAEMON, box.home, role, launcher], { env: {}, stdio: 'ignore' });
  const isDaemon = async ({ pid }: ChildProcess) => (await box.daemonPid()) === pid;
  return { box, launcher, start, isDaemon, before: await states(box) };
}

const states = async (box: Sandbox) =>
  (await box.rows()).map(({ id, name, pid, state }) => `${id} ${name} ${pid} ${state.kind}`);

async function endBy(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill(signal);
  await ended;
}

test('takes the place of a daemon that a command has started, once that has nothing to do', async (t) => {
  const { box, start, isDaemon, before } = await kept(t);
  const gate = join(box.cwd, 'gate');
  Object.assign(box.env, { GATE: gate, PORT: '0' });
  const busy = box.upkeep(
    'start',
    fixture('ready-when-file.js'),
    '--name',
    'slow',
    '--wait-ready',
    '--listen-timeout',
    '30000',
  );
  await box.logged('slow-out.log', 'waits');
  const child = start();
  t.after(() => endBy(child, 'SIGKILL'));
  assert.equal(await isDaemon(child), false);
  box.write('gate', '');
  assert.equal((await busy).code, 0, 'the command is answered');
  await until(() => isDaemon(child), 'the daemon of the init system');
  assert.deepEqual((await states(box)).slice(0, 3), before);
});

test('SIGTERM leaves the apps alone, SIGQUIT stops them; the next one starts them', async (t) => {
  const { box, start, isDaemon, before } = await kept(t);
  const first = start();
  await until(() => isDaemon(first), 'the first one');
  await endBy(first, 'SIGTERM');
  const second = start();
  await until(() => isDaemon(second), 'the second one');
  assert.deepEqual(await states(box), before);
  const pids = (await box.rows()).map(({ pid }) => pid ?? 0);
  await endBy(second, 'SIGQUIT');
  assert.deepEqual([pids.filter(isAlive), box.supervisors().filter(isAlive)], [[], []]);
  const third = start();
  t.after(() => endBy(third, 'SIGKILL'));
  await until(() => isDaemon(third), 'the third one');
  assert.deepEqual(
    (await box.rows()).map(({ state }) => state.kind),
    ['online', 'online', 'online'],
  );
});

test('a stop while it stands by for another one stops the apps, too', async (t) => {
  const { box, start } = await kept(t);
  const pids = (await box.rows()).map(({ pid }) => pid ?? 0);
  const daemon = await box.daemonPid();
  process.kill(daemon, 'SIGSTOP');
  const child = start();
  await until(() => commandLine(child.pid ?? 0).startsWith('upkeep stand-by'), 'the stand-by');
  process.kill(daemon, 'SIGCONT');
  await endBy(child, 'SIGQUIT');
  assert.deepEqual(pids.filter(isAlive), []);
});

test('where there is no signal but SIGTERM, that stops the apps', async (t) => {
  const { box, start, isDaemon } = await kept(t, 'kept-until-sigterm');
  const pids = (await box.rows()).map(({ pid }) => pid ?? 0);
  const child = start();
  await until(() => isDaemon(child), 'the daemon');
  await endBy(child, 'SIGTERM');
  assert.deepEqual(pids.filter(isAlive), []);
});

test('without its launcher, it leaves the apps alone', async (t) => {
  const { box, start, isDaemon, launcher, before } = await kept(t);
  const child = start();
  await until(() => isDaemon(child), 'the daemon');
  rmSync(launcher);
  await endBy(child, 'SIGQUIT');
  assert.deepEqual(await states(box), before);
});
