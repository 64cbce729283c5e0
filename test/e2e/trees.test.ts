import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { cgroupOf, folderOf, startInCgroup } from '../../src/platform/cgroups.ts';
import { fixture, type Sandbox, sandbox } from './harness.ts';
import { noOtherUser, OF_NOBODY } from './nobody.ts';
import { isAlive } from './processes.ts';
import { until } from './until.ts';

/** Whether this process, and so what it starts, may make cgroups. */
const cgroups = ((): boolean => {
  const { child, cgroup } = startInCgroup(() => spawn('sleep', ['10'], { stdio: 'ignore' }), false);
  child.once('exit', () => cgroup?.remove());
  child.kill('SIGKILL');
  return cgroup !== null;
})();

interface Left {
  readonly daemon: number;
  /** Nothing but a cgroup holds it. */
  readonly clean: number;
}

/** What a run of a fixture has left behind, once it has said so. */
async function leftBy(box: Sandbox, log: string, run = 1): Promise<Left> {
  const text = await until(
    () => (box.log(log).split('left them').length > run ? box.log(log) : null),
    `run ${run} in ${log}`,
  );
  const pids = (name: string): number[] =>
    [...text.matchAll(new RegExp(`${name} (\\d+)`, 'g'))].map((match) => Number(match[1]));
  return { daemon: pids('daemon')[run - 1] ?? 0, clean: pids('clean')[run - 1] ?? 0 };
}

function endIfAlive(pids: readonly number[]): void {
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It is gone, as it should be.
    }
  }
}

/** Nothing is left of them; without a cgroup, one that has thrown its environment away may be. */
function assertGone({ daemon, clean }: Left, by: string): void {
  const alive = [daemon, clean].filter(isAlive);
  endIfAlive(alive);
  assert.deepEqual(alive, cgroups ? [] : alive.filter((pid) => pid === clean), `left after ${by}`);
}

function compiled(t: TestContext, box: Sandbox): string | null {
  const program = join(box.cwd, 'daemonizes');
  const { status } = spawnSync('cc', ['-o', program, fixture('daemonizes.c')], { stdio: 'ignore' });
  if (status === 0) return program;
  t.skip('there is no C compiler here');
  return null;
}

for (const [language, script] of [
  ['Python', () => fixture('daemonizes.py')],
  ['a shell', () => fixture('daemonizes.sh')],
  ['C', compiled],
] as const) {
  test(`what ${language} has forked twice, into sessions of its own, ends with stop`, async (t) => {
    if (language === 'Python' && spawnSync('python3', ['--version']).error) return t.skip('there is no python3 here');
    const box = await sandbox(t);
    const path = script(t, box);
    if (path === null) return;
    await box.ok('start', path, '--name', 'app', '--kill-timeout', '300');
    const left = await leftBy(box, 'app-out.log');
    assert.ok(isAlive(left.daemon) && isAlive(left.clean));
    await box.ok('stop', 'app');
    assertGone(left, 'stop');
  });
}

for (const [mode, flags, log] of [
  ['fork', [], 'app-out.log'],
  ['cluster', ['-i', '1', '--listen-timeout', '100'], 'app-out-0.log'],
] as const) {
  const start = (box: Sandbox, ...more: string[]) =>
    box.ok('start', fixture('daemonizes.js'), '--name', 'app', '--kill-timeout', '300', ...flags, ...more);

  for (const command of ['delete', 'kill'] as const) {
    test(`${mode} mode: ${command} leaves nothing of it`, async (t) => {
      const box = await sandbox(t);
      await start(box);
      const left = await leftBy(box, log);
      await box.ok(command, ...(command === 'delete' ? ['app'] : []));
      assertGone(left, command);
    });
  }

  test(`${mode} mode: it is gone before the next run begins, after a restart and after a crash`, async (t) => {
    const box = await sandbox(t);
    await start(box);
    const first = await leftBy(box, log, 1);
    await box.ok('restart', 'app');
    const second = await leftBy(box, log, 2);
    assertGone(first, 'restart');
    const [row] = await box.app('app');
    process.kill(row?.pid ?? 0, 'SIGKILL');
    await leftBy(box, log, 3);
    assertGone(second, 'a crash');
    if (!cgroups) return;
    assert.deepEqual(box.log(log).match(/^of earlier runs: .*$/gm), Array(3).fill('of earlier runs: nothing'));
  });

  test(`${mode} mode: its next supervisor finds it too`, async (t) => {
    const box = await sandbox(t);
    await start(box);
    const left = await leftBy(box, log);
    const [before] = await box.app('app');
    const [supervisor = 0] = box.supervisors();
    process.kill(supervisor, 'SIGKILL');
    await until(() => box.supervisors().some((pid) => pid !== supervisor), 'another supervisor');
    await until(async () => (await box.app('app'))[0]?.pid === before?.pid, 'the app to be taken over');
    await box.ok('stop', 'app');
    assertGone(left, 'stop');
  });

  test(`${mode} mode: with treekill: false it stays`, async (t) => {
    const box = await sandbox(t);
    await start(box, '--no-treekill');
    const first = await leftBy(box, log, 1);
    await box.ok('restart', 'app');
    const second = await leftBy(box, log, 2);
    await box.ok('delete', 'app');
    const all = [first, second].flatMap(({ daemon, clean }) => [daemon, clean]);
    const alive = all.filter(isAlive);
    endIfAlive(all);
    assert.deepEqual(alive, all);
  });

  test(`${mode} mode: without cgroups it is found by its environment`, { skip: noOtherUser() }, async (t) => {
    const box = await sandbox(t, OF_NOBODY);
    await start(box);
    const first = await leftBy(box, log, 1);
    const [row] = await box.app('app');
    process.kill(row?.pid ?? 0, 'SIGKILL');
    const second = await leftBy(box, log, 2);
    const afterCrash = isAlive(first.daemon);
    await box.ok('stop', 'app');
    const afterStop = isAlive(second.daemon);
    endIfAlive([first.clean, second.clean]);
    assert.deepEqual({ afterCrash, afterStop }, { afterCrash: false, afterStop: false });
  });
}

test('cgroups are removed with what was in them', { skip: !cgroups && 'no cgroup may be made here' }, async (t) => {
  const box = await sandbox(t);
  await box.ok('start', fixture('idles.js'), '--name', 'one');
  await box.ok('start', fixture('port-zero.js'), '--name', 'two', '-i', '2');
  const pids = (await box.rows()).map(({ pid }) => pid ?? 0);
  assert.ok(pids.every((pid) => cgroupOf(pid)?.pids().includes(pid)));
  const folders = pids.map((pid) => folderOf(String(pid)) ?? '');
  assert.equal(new Set(folders).size, 3);
  await box.ok('stop', 'two');
  assert.deepEqual(
    folders.map((folder) => existsSync(folder)),
    [true, false, false],
  );
  await box.ok('kill');
  assert.deepEqual(
    folders.filter((folder) => existsSync(folder)),
    [],
  );
});

test('an upkeep that an app has started is no part of it', {
  skip: !cgroups && 'no cgroup may be made here',
}, async (t) => {
  const box = await sandbox(t);
  const other = { UPKEEP_HOME: join(box.cwd, 'other') };
  const cli = `${process.execPath} ${join(process.cwd(), 'dist', 'upkeep.cjs')}`;
  // Its command starts a daemon, and that a supervisor.
  const command = `env UPKEEP_HOME=${other.UPKEEP_HOME} ${cli} start ${fixture('idles.js')} --name inner && sleep 1000`;
  await box.ok('start', command, '--name', 'outer');
  await box.logged('outer-error.log', 'inner started');
  await box.ok('stop', 'outer');
  const list = await box.run(['list', '--json'], { env: other });
  assert.equal((await box.run(['kill'], { env: other })).code, 0);
  const [inner] = JSON.parse(list.stdout) as { state: { kind: string }; restarts: number }[];
  assert.deepEqual([inner?.state.kind, inner?.restarts], ['online', 0]);
});
