import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { fixture, NODE } from '../e2e/harness.ts';
import { isAlive } from '../e2e/processes.ts';
import { startLoad } from '../e2e/requests.ts';
import { until } from '../e2e/until.ts';
import { FORKS, inject, pressureBox, withStrace } from './pressure.ts';

describe('a machine short of processes or memory', { concurrency: 2 }, () => {
  for (const [what, code, short] of [
    ['processes', 'EAGAIN', 'processes (EAGAIN)'],
    ['memory', 'ENOMEM', 'memory (ENOMEM)'],
  ] as const) {
    test(
      `a supervisor short of ${what}: an app that crashes is started once there are some, and never given up`,
      withStrace,
      async (t) => {
        const box = await pressureBox(t);
        await box.ok('start', fixture('idles.js'), '--name', 'job', '--max-restarts', '2');
        await box.ok('start', 'exec sleep 1000', '--name', 'sleeper', '--max-restarts', '2');
        const supervisor = box.sharedSupervisor();
        const relieve = await inject(box, supervisor, FORKS, code);
        for (const { pid } of await box.rows()) process.kill(pid ?? 0, 'SIGKILL');
        const states = async () => (await box.rows()).map(({ state }) => state.kind);
        const wait = async () => (await states()).every((kind) => kind === 'backoff');
        await until(wait, 'both to wait', states);
        const { stderr } = await box.fails('restart', 'sleeper');
        assert.ok(stderr.includes(`it cannot be started: the machine is short of ${short}`), stderr);
        // The pipes of a new one are made by a program.
        const fresh = await box.fails('start', fixture('idles.js'), '--name', 'fresh');
        assert.ok(fresh.stderr.includes(`the machine is short of ${short}`), fresh.stderr);
        await relieve();
        const areUp = async () => (await states()).every((kind) => kind === 'online');
        await until(areUp, 'all to be online', async () => JSON.stringify(await box.rows()));
        assert.equal(box.sharedSupervisor(), supervisor);
        // One for the crash; and one of the sleeper for the command.
        assert.deepEqual(
          (await box.rows()).map(({ name, restarts }) => [name, restarts]),
          [
            ['job', 1],
            ['sleeper', 2],
            ['fresh', 0],
          ],
        );
      },
    );
  }

  test(
    'a cluster whose supervisor is short of memory keeps its workers: the reload says why',
    withStrace,
    async (t) => {
      const box = await pressureBox(t);
      await box.ok('start', fixture('counts-requests.js'), '--name', 'web', '-i', '2');
      const before = await box.app('web');
      const load = startLoad(t, box.port, 2);
      const [supervisor = 0] = box.supervisors();
      const relieve = await inject(box, supervisor, FORKS, 'ENOMEM');
      assert.match((await box.fails('reload', 'web')).stderr, /the machine is short of memory \(ENOMEM\)/);
      assert.deepEqual(
        (await box.app('web')).map(({ pid }) => pid),
        before.map(({ pid }) => pid),
      );
      await relieve();
      await box.ok('reload', 'web');
      assert.deepEqual((await load.stop()).failures, []);
      assert.deepEqual(box.supervisors(), [supervisor]);
    },
  );

  test('a daemon that cannot start a supervisor says so, and starts it once it can', withStrace, async (t) => {
    const box = await pressureBox(t);
    await box.ok('start', fixture('idles.js'), '--name', 'job');
    const daemon = await box.daemonPid();
    const relieve = await inject(box, daemon, FORKS, 'EAGAIN');
    const { stderr } = await box.fails('start', fixture('counts-requests.js'), '--name', 'web', '-i', '2');
    assert.match(stderr, /its supervisor cannot be started: the machine is short of processes \(EAGAIN\)/);
    assert.match(stderr, /next: .*it is tried again/);
    assert.match((await box.ok('list')).stdout, /web \(1, 2\) its supervisor cannot be started: .*; next try in/);
    // And its death is no reason to give up what the supervisor ran.
    const [job] = await box.app('job');
    const shared = box.sharedSupervisor();
    process.kill(shared, 'SIGKILL');
    const isTold = async () => /supervisor is gone/.test((await box.app('job'))[0]?.unhealthy ?? '');
    await until(isTold, 'the loss to be told');
    assert.ok(isAlive(job?.pid ?? 0));
    await relieve();
    const areUp = async () => (await box.rows()).every(({ state }) => state.kind === 'online');
    await until(areUp, 'all to be online', async () => JSON.stringify(await box.rows()));
    assert.equal((await box.app('job'))[0]?.pid, job?.pid);
    assert.equal(await box.daemonPid(), daemon);
  });

  test('a command that cannot start a daemon says why', withStrace, async (t) => {
    const box = await pressureBox(t);
    const args = ['-f', '-qq', '-o', '/dev/null', '-e', `trace=${FORKS}`, '-e', `inject=${FORKS}:error=EAGAIN`];
    const cli = `${process.cwd()}/dist/upkeep.cjs`;
    const child = spawn('strace', [...args, NODE, cli, 'list', '--json'], {
      env: box.env,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let stderr = '';
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += String(chunk);
    });
    const [code] = (await once(child, 'close')) as [number];
    assert.equal(code, 1);
    assert.match(stderr, /cannot start a daemon: the machine is short of processes \(EAGAIN\)\n +next: free it/);
    await box.ok('list', '--json');
  });
});
