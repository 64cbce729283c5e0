import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { fixture } from '../e2e/harness.ts';
import { isAlive } from '../e2e/processes.ts';
import { startLoad } from '../e2e/requests.ts';
import { until } from '../e2e/until.ts';
import { startCounter } from './counter.ts';
import { daemonOf, type PressureBox, pressureBox } from './pressure.ts';
import { smallDisk, withMount } from './small-disk.ts';

const SHORT = 'the machine is short of a disk that can be written to \\(EROFS\\)';
const GONE = new RegExp(`its supervisor is gone, and another one cannot be started: ${SHORT}`);
const NEXT = /next: .*(`mount -o remount,rw`|let its folder be written to)/;

const running = async (box: PressureBox) =>
  (await box.rows()).map(({ name, pid, state }) => [name, pid, state.kind] as const);

/** A command that does not do what it was told to says why, and what to do. */
async function refused(box: PressureBox, ...args: string[]): Promise<string> {
  const { code, stderr } = await box.fails(...args);
  assert.equal(code, 1, stderr);
  assert.doesNotMatch(stderr, /a bug in upkeep/);
  assert.match(stderr, NEXT);
  return stderr;
}

/** One app in fork mode that counts, one that idles, and a cluster, on a disk that can be turned read-only. */
async function readOnly(t: TestContext) {
  const box = await pressureBox(t);
  const disk = smallDisk(t, box);
  await box.ok('start', fixture('counts-requests.js'), '--name', 'web', '-i', '2');
  await box.ok('start', fixture('idles.js'), '--name', 'job');
  const count = await startCounter(box);
  return { box, disk, count };
}

/** Kills supervisors. It is told then why no others come. */
async function killSupervisors(box: PressureBox): Promise<void> {
  for (const pid of box.supervisors()) process.kill(pid, 'SIGKILL');
  const isTold = async () => (await box.rows()).every(({ unhealthy }) => GONE.test(unhealthy ?? ''));
  await until(isTold, 'the list to tell', async () => (await box.ok('list')).stdout);
}

describe('a home that turns read-only', { concurrency: 2 }, () => {
  test(
    'apps go on and are restarted, commands say what is wrong, and all is as before afterwards',
    withMount,
    async (t) => {
      const { box, disk, count } = await readOnly(t);
      const load = startLoad(t, box.port, 2);
      disk.turnReadOnly();

      const before = await running(box);
      assert.match(await refused(box, 'start', fixture('idles.js'), '--name', 'new'), /cannot be saved: EROFS/);
      assert.deepEqual(await running(box), before);
      const reload = await refused(box, 'reload', 'web');
      assert.match(reload, new RegExp(`web \\(\\d\\): it cannot be started: ${SHORT}|cannot be saved: EROFS`));
      assert.match(await refused(box, 'stop', 'job'), /it was done, but the list of apps cannot be saved: EROFS/);
      // Also a list that asks nobody: what it reads cannot be kept up to date.
      const { stdout, stderr } = await box.ok('list');
      assert.match(stdout, /job .* stopped/);
      assert.match(stderr, /the list of apps is not saved: EROFS/);
      await refused(box, 'flush');
      await box.ok('logs', 'counter', '--nostream');
      await box.ok('describe', 'web');
      assert.deepEqual(
        (await box.app('web')).map(({ state }) => state.kind),
        ['online', 'online'],
      );

      const [crashed] = await box.app('counter');
      process.kill(crashed?.pid ?? 0, 'SIGKILL');
      const isBack = async () => {
        const [row] = await box.app('counter');
        return row?.state.kind === 'online' && row.pid !== crashed?.pid;
      };
      await until(isBack, 'the counter to be restarted', async () => JSON.stringify(await box.app('counter')));

      disk.turnWritable();
      const isSaved = async () => (await box.ok('list')).stderr === '';
      await until(isSaved, 'the list to be saved', async () => (await box.ok('list')).stderr);
      await box.ok('reload', 'web');
      await box.ok('start', 'job');
      await box.ok('start', fixture('idles.js'), '--name', 'new');
      assert.ok(readFileSync(join(box.home, 'state.json'), 'utf8').includes('"new"'));
      await box.logged('counter-out.log', `line ${count() + 5}\n`);
      assert.deepEqual((await load.stop()).failures, []);
    },
  );

  test('a supervisor that is killed: what cannot be ended is told, and ended once it can be', withMount, async (t) => {
    const { box, disk, count } = await readOnly(t);
    const before = (await running(box)).map(([name, pid]) => [name, pid]);
    const load = startLoad(t, box.port, 2);
    disk.turnReadOnly();
    await killSupervisors(box);
    assert.match((await box.ok('list')).stdout, GONE);
    for (const command of ['stop', 'delete']) {
      const told = await refused(box, command, 'job');
      assert.match(told, new RegExp(`✗ job \\(2\\): its supervisor cannot be started: ${SHORT}`));
      assert.doesNotMatch(told, /it was done/);
    }
    assert.deepEqual(
      (await running(box)).map(([name, pid]) => [name, pid]),
      before,
    );
    const written = count();
    await until(() => count() > written + 5, 'the counter to go on');

    disk.turnWritable();
    const isEnded = async () => (await box.app('job'))[0]?.state.kind === 'stopped';
    await until(isEnded, 'the job to be stopped', async () => (await box.ok('list')).stdout);
    const others = (await running(box)).filter(([name]) => name !== 'job');
    assert.deepEqual(
      others,
      before.filter(([name]) => name !== 'job').map((row) => [...row, 'online']),
    );
    await box.ok('reload', 'web');
    await box.logged('counter-out.log', `line ${count() + 5}\n`);
    assert.deepEqual((await load.stop()).failures, []);
  });

  test('`kill` says what it could not end, with a daemon and without one', withMount, async (t) => {
    const { box, disk } = await readOnly(t);
    const before = (await running(box)).map(([name, pid]) => [name, pid] as const);
    disk.turnReadOnly();
    await killSupervisors(box);
    assert.match(await refused(box, 'kill'), /web, job, counter may still run: its supervisor cannot be started/);
    process.kill(daemonOf(box), 'SIGKILL');
    assert.match(await refused(box, 'list'), new RegExp(`cannot start a daemon: ${SHORT}`));
    const told = await refused(box, 'kill');
    for (const [name, pid] of before) {
      assert.ok(isAlive(pid ?? 0), name);
      assert.match(told, new RegExp(`its apps go on, as processes .*\\b${pid}\\b`));
    }

    disk.turnWritable();
    assert.match((await box.ok('kill')).stderr, /no daemon runs .*, 4 processes were stopped/);
    for (const [name, pid] of before) assert.ok(!isAlive(pid ?? 0), name);
  });
});
