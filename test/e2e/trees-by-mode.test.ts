import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fixture, type Sandbox, sandbox } from './harness.ts';
import { assertGone, cgroups, endIfAlive, leftBy } from './left-behind.ts';
import { noOtherUser, OF_NOBODY } from './nobody.ts';
import { isAlive } from './processes.ts';
import { until } from './until.ts';

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

  test(`${mode} mode: its next supervisor ends what was left while there was none`, async (t) => {
    const box = await sandbox(t);
    await start(box);
    const left = await leftBy(box, log);
    const [before] = await box.app('app');
    const [supervisor = 0] = box.supervisors();
    process.kill(supervisor, 'SIGSTOP');
    process.kill(before?.pid ?? 0, 'SIGKILL');
    process.kill(supervisor, 'SIGKILL');
    await leftBy(box, log, 2);
    assertGone(left, 'the next supervisor');
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
