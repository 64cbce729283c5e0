import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { cgroupOf, folderOf } from '../../src/platform/cgroups.ts';
import { fixture, type Sandbox, sandbox } from './harness.ts';
import { assertGone, cgroups, endIfAlive, leftBy } from './left-behind.ts';
import { cannotBoot, machineWithApps } from './machine.ts';
import { noOtherUser, OF_NOBODY } from './nobody.ts';
import { isAlive, processesWith } from './processes.ts';
import { until } from './until.ts';

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

for (const [how, options] of [
  ['', () => ({})],
  [', without cgroups too', () => OF_NOBODY],
] as const) {
  const skip = spawnSync('python3', ['--version']).error ? 'there is no python3 here' : how !== '' && noOtherUser();
  test(`a program that puts itself into the background is told so, and is gone after delete${how}`, {
    skip,
  }, async (t) => {
    const box = await sandbox(t, options());
    const program = fixture('puts-itself-into-background.py');
    const mark = `of-${box.port}`;
    for (let round = 0; round < 8; round++) {
      const { stderr } = await box.fails('start', program, '--name', 'app', '--', mark);
      assert.match(stderr, /app \(0\): it put itself into the background .*leaving processes behind\)/);
      assert.match(stderr, /next: let it run in the foreground: without --daemon/);
      await box.ok('delete', 'app');
      const left = processesWith(mark).filter(isAlive);
      endIfAlive(left);
      assert.deepEqual(left, [], `round ${round}`);
    }
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

test('a user has cgroups in the unit of `upkeep startup`', { skip: cannotBoot() }, async (t) => {
  const { ok, disk, powerOff, boot, processes } = await machineWithApps(t, 'me');
  cpSync(fixture('daemonizes.sh'), join(disk, 'srv/daemonizes.sh'));
  await ok('upkeep startup -u me');
  await powerOff();
  await boot();
  await ok('upkeep start /srv/daemonizes.sh --name tree --kill-timeout 300', 'me');
  const pid = (await ok('upkeep pid tree', 'me')).trim();
  assert.match(await ok(`cat /proc/${pid}/cgroup`), /^0::.*\/upkeep-me\.service\/upkeep-\d+-\d+$/m);
  await until(async () => (await ok('cat /home/me/.upkeep/logs/tree-out.log')).includes('left them'), 'the processes');
  assert.equal((await processes('sleep')).match(/cmdline/g)?.length, 3);
  await ok('upkeep stop tree', 'me');
  assert.equal(await processes('sleep'), '');
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
