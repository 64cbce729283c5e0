import assert from 'node:assert/strict';
import { chmodSync, copyFileSync, cpSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fixture, NODE, type Sandbox, sandbox } from './harness.ts';
import { NOBODY, noOtherUser } from './nobody.ts';
import { until } from './until.ts';

/** A copy of upkeep that can be moved away and back. */
function movable(box: Sandbox): { command: string; leave: () => void; comeBack: () => void } {
  const [here, there] = [join(box.cwd, 'package'), join(box.cwd, 'away')];
  cpSync('dist', here, { recursive: true });
  return {
    command: join(here, 'upkeep.cjs'),
    leave: () => renameSync(here, there),
    comeBack: () => renameSync(there, here),
  };
}

const pidOf = async (box: Sandbox, name: string): Promise<number> => (await box.app(name))[0]?.pid ?? 0;
const online = async (box: Sandbox, name: string): Promise<boolean> =>
  (await box.app(name)).every(({ state, pid }) => state.kind === 'online' && pid !== null);
const crash = async (box: Sandbox, name: string): Promise<number> => {
  const pid = await pidOf(box, name);
  process.kill(pid, 'SIGKILL');
  return pid;
};

test("apps start while upkeep's own folder is away, and while their home lacks the copy", async (t) => {
  const box = await sandbox(t);
  const { command, leave } = movable(box);
  for (const args of [
    [fixture('idles.js'), '--name', 'job'],
    [fixture('http-hello.js'), '--name', 'web', '-i', '2'],
  ]) {
    const { code, stderr } = await box.run(['start', ...args], { command });
    assert.equal(code, 0, stderr);
  }
  leave();
  for (const name of ['job', 'web']) {
    for (const spoil of [() => {}, () => removeCopies(box)]) {
      spoil();
      const pid = await crash(box, name);
      await until(async () => (await online(box, name)) && (await pidOf(box, name)) !== pid, `another ${name}`);
    }
    assert.deepEqual(box.log(`${name}-error.log`), '');
  }
  await box.ok('reload', 'web');
});

function removeCopies({ home }: Sandbox): void {
  const run = join(home, 'run');
  const copies = readdirSync(run).filter((entry) => entry.startsWith('bootstrap-'));
  assert.equal(copies.length, 1);
  for (const copy of copies) rmSync(join(run, copy));
}

test('supervisors and the daemon come back with the folder, and no app notices', async (t) => {
  const box = await sandbox(t);
  const { command, leave, comeBack } = movable(box);
  await box.run(['start', fixture('idles.js'), '--name', 'job'], { command });
  await box.run(['start', fixture('http-hello.js'), '--name', 'web', '-i', '2'], { command });
  const before = (await box.rows()).map(({ pid, restarts }) => [pid, restarts]);
  leave();
  for (const pid of box.supervisors()) process.kill(pid, 'SIGKILL');
  await until(
    async () => (await box.rows()).every(({ unhealthy }) => unhealthy?.includes('its supervisor is gone')),
    'the daemon to miss them',
  );
  comeBack();
  await until(() => box.supervisors().length === 2, 'other supervisors');
  await until(async () => (await box.rows()).every(({ unhealthy }) => unhealthy === null), 'all to be taken over');

  leave();
  const daemon = await box.daemonPid();
  process.kill(daemon, 'SIGKILL');
  comeBack();
  await until(async () => (await box.daemonPid()) !== daemon, 'another daemon');
  assert.deepEqual(
    (await box.rows()).map(({ pid, restarts }) => [pid, restarts]),
    before,
  );
});

test('an app of another user waits for the folder', { skip: noOtherUser() }, async (t) => {
  const box = await sandbox(t, { open: true });
  const { command, leave, comeBack } = movable(box);
  const started = await box.run(['start', fixture('idles.js'), '--name', 'job', '--uid', String(NOBODY)], { command });
  assert.equal(started.code, 0, started.stderr);
  leave();
  await crash(box, 'job');
  await until(async () => (await box.app('job'))[0]?.state.kind === 'backoff', 'the wait');
  const { state } = (await box.app('job'))[0] ?? {};
  assert.match(state?.kind === 'backoff' ? state.reason : '', /bootstrap\.cjs is not there, as while another version/);
  comeBack();
  await until(() => online(box, 'job'), 'the app');
});

for (const [mode, flags] of [
  ['fork', []],
  ['cluster', ['-i', '1']],
] as const) {
  test(`${mode} mode: an app waits for its interpreter`, async (t) => {
    const box = await sandbox(t);
    const [node, away] = [join(box.cwd, 'node'), join(box.cwd, 'other')];
    copyFileSync(NODE, node);
    chmodSync(node, 0o755);
    await box.ok('start', fixture('http-hello.js'), '--name', 'web', '--interpreter', node, ...flags);
    renameSync(node, away);
    await crash(box, 'web');
    await until(async () => (await box.app('web'))[0]?.state.kind === 'backoff', 'the wait');
    const { state } = (await box.app('web'))[0] ?? {};
    assert.match(state?.kind === 'backoff' ? state.reason : '', /node is not there, as while another version/);
    renameSync(away, node);
    await until(() => online(box, 'web'), 'the app');
  });
}
