import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fixture } from '../e2e/harness.ts';
import { startLoad } from '../e2e/requests.ts';
import { until } from '../e2e/until.ts';
import { startCounter } from './counter.ts';
import { daemonOf, inject, type PressureBox, pressureBox, withStrace } from './pressure.ts';
import { smallDisk, withMount } from './small-disk.ts';

/** Kills the supervisor of fork-mode apps. */
async function replaceSupervisor(box: PressureBox): Promise<void> {
  const supervisor = box.sharedSupervisor();
  process.kill(supervisor, 'SIGKILL');
  const isReplaced = () => {
    try {
      return box.sharedSupervisor() !== supervisor;
    } catch {
      return false;
    }
  };
  await until(isReplaced, 'another supervisor', box.daemonLog);
}

describe('a disk in trouble', { concurrency: 2 }, () => {
  test(
    'a full disk: all goes on, commands say what cannot be saved, and all is as before once there is room',
    withMount,
    async (t) => {
      const box = await pressureBox(t);
      const disk = smallDisk(t, box);
      const identity = async () =>
        (await box.rows()).map(({ name, pid, restarts, state }) => [name, pid, restarts, state.kind]);
      const pidFile = join(box.home, 'pids', 'job.pid');
      await box.ok('start', fixture('counts-requests.js'), '--name', 'web', '-i', '2');
      await box.ok('start', fixture('idles.js'), '--name', 'job', '--pid', pidFile);
      const count = await startCounter(box);
      const load = startLoad(t, box.port, 2);
      disk.fill();

      // What would begin something is not done, as nobody would know of it after a reboot.
      const before = await identity();
      const refused = await box.fails('start', fixture('idles.js'), '--name', 'new');
      assert.match(refused.stderr, /the list of apps cannot be saved: ENOSPC/);
      assert.match(refused.stderr, /next: nothing was done: make room on the disk/);
      assert.deepEqual(await identity(), before);
      // What changes no wish needs no room.
      await box.ok('restart', 'job');
      await box.ok('reload', 'web');
      // What ends something is done.
      disk.fill();
      assert.match(
        (await box.fails('stop', 'job')).stderr,
        /it was done, but the list of apps cannot be saved: ENOSPC/,
      );
      assert.equal((await box.app('job'))[0]?.state.kind, 'stopped');
      assert.match((await box.ok('list')).stderr, /the list of apps is not saved: ENOSPC/);

      // Apps are restarted; the daemon and the supervisor are replaced.
      const [crashed] = await box.app('counter');
      process.kill(crashed?.pid ?? 0, 'SIGKILL');
      const isBack = async () => {
        const [row] = await box.app('counter');
        return row?.state.kind === 'online' && row.pid !== crashed?.pid;
      };
      await until(isBack, 'the counter to be restarted', async () => JSON.stringify(await box.app('counter')));
      const running = async () => (await box.rows()).map(({ name, pid }) => [name, pid]);
      const pids = await running();
      disk.fill();
      process.kill(daemonOf(box), 'SIGKILL');
      assert.deepEqual(await running(), pids);
      disk.fill();
      await replaceSupervisor(box);
      const isTheSame = async () => JSON.stringify(await running()) === JSON.stringify(pids);
      await until(
        isTheSame,
        'the same processes',
        async () => `${JSON.stringify(pids)}\n${JSON.stringify(await running())}`,
      );
      const written = count();
      await until(() => count() > written + 20, 'the counter to go on');

      disk.free();
      const isSaved = async () => (await box.ok('list')).stderr === '';
      await until(isSaved, 'the list to be saved', async () => (await box.ok('list')).stderr);
      await box.ok('start', fixture('idles.js'), '--name', 'new');
      await box.ok('start', 'job');
      assert.ok(readFileSync(join(box.home, 'state.json'), 'utf8').includes('"new"'));
      const line = count();
      await box.logged('counter-out.log', `line ${line + 5}\n`);
      const pid = (await box.app('job'))[0]?.pid;
      await until(() => Number(readFileSync(pidFile, 'utf8')) === pid, 'the pid file');
      const after = await running();
      await replaceSupervisor(box);
      const areTheSame = async () => JSON.stringify(await running()) === JSON.stringify(after);
      await until(areTheSame, 'the same processes, again', async () => JSON.stringify(await running()));
      assert.deepEqual((await load.stop()).failures, []);
    },
  );

  test(
    'a disk without inodes: apps are restarted, and one that needs pipes is started once there are some',
    withMount,
    async (t) => {
      const box = await pressureBox(t);
      const disk = smallDisk(t, box);
      const pidFile = join(box.home, 'pids', 'job.pid');
      await box.ok('start', fixture('idles.js'), '--name', 'job', '--pid', pidFile);
      const up = async (name: string) => (await box.app(name)).every(({ state }) => state.kind === 'online');
      disk.takeInodes(0);
      assert.match((await box.fails('start', fixture('idles.js'), '--name', 'new')).stderr, /cannot be saved: ENOSPC/);
      await box.ok('restart', 'job');
      const [job] = await box.app('job');
      process.kill(job?.pid ?? 0, 'SIGKILL');
      await until(async () => (await box.app('job'))[0]?.restarts === 2 && (await up('job')), 'job to be restarted');
      disk.free();
      const pid = (await box.app('job'))[0]?.pid;
      // What could not be written takes no room later on.
      await until(() => Number(readFileSync(pidFile, 'utf8')) === pid, 'the pid file');
      // Room for the list of apps, and not for all that a new one needs.
      disk.takeInodes(1);
      const { stderr } = await box.fails('start', 'exec sleep 1000', '--name', 'new', '-i', '2');
      assert.match(stderr, /it cannot be started: the machine is short of disk space \(ENOSPC\)/);
      assert.match(stderr, /next: free it.*; it is tried again/);
      disk.free();
      await until(
        () => up('new'),
        'new to be started',
        async () => JSON.stringify(await box.rows()),
      );
    },
  );

  test('a slow disk: a start says what it waits for, and questions are answered meanwhile', withStrace, async (t) => {
    const box = await pressureBox(t);
    await box.ok('start', fixture('idles.js'), '--name', 'job');
    const relieve = await inject(box, daemonOf(box), 'fsync,fdatasync', 'delay_enter=6000000');
    const start = box.ok('start', fixture('idles.js'), '--name', 'new');
    const begun = performance.now();
    let answers = 0;
    const ask = async (): Promise<false> => {
      assert.equal((await box.rows())[0]?.state.kind, 'online');
      answers++;
      return false;
    };
    while (!(await Promise.race([start, ask()])));
    assert.ok(performance.now() - begun > 10_000, 'the disk was slow');
    assert.ok(answers > 2, `${answers} answers`);
    assert.match((await start).stderr, /waits for the disk, which has not saved the list of apps for 3 s/);
    await relieve();
    await box.ok('delete', 'new');
  });

  test(
    'a disk that renames nothing: nothing is begun, the list is told by the daemon; then all is as before',
    withStrace,
    async (t) => {
      const box = await pressureBox(t);
      await box.ok('start', fixture('idles.js'), '--name', 'job');
      const relieve = await inject(box, daemonOf(box), 'rename,renameat,renameat2', 'EIO');
      const { stderr } = await box.fails('start', fixture('idles.js'), '--name', 'new');
      assert.match(stderr, /the list of apps cannot be saved: EIO/);
      assert.match((await box.ok('list')).stdout, /job .* online/);
      await until(
        () => box.daemonLog().includes('cannot write the status file: EIO'),
        'the log to tell',
        box.daemonLog,
      );
      await relieve();
      await box.ok('start', fixture('idles.js'), '--name', 'new');
      assert.deepEqual(
        (await box.rows()).map(({ name }) => name),
        ['job', 'new'],
      );
    },
  );
});
