import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { fixture } from '../e2e/harness.ts';
import { isAlive } from '../e2e/processes.ts';
import { get, startLoad } from '../e2e/requests.ts';
import { until } from '../e2e/until.ts';
import { pressureBox, takeDescriptors, withPrlimit } from './pressure.ts';

describe('a process without descriptors', { concurrency: 2 }, () => {
  test(
    'a daemon without descriptors: apps serve on, the command says so, and all is well when it has some',
    withPrlimit,
    async (t) => {
      const box = await pressureBox(t);
      await box.ok('start', fixture('counts-requests.js'), '--name', 'web', '-i', '2');
      const before = await box.rows();
      const daemon = await box.daemonPid();
      const load = startLoad(t, box.port, 2);
      const giveBack = await takeDescriptors(box, daemon, box.daemonSocket);
      const { stderr } = await box.fails('restart', 'web');
      assert.match(stderr, new RegExp(`process ${daemon}, takes no connection: .* no file descriptor left`));
      assert.match((await box.fails('ping')).stderr, /takes no connection/);
      assert.ok(isAlive(daemon));
      giveBack();
      assert.deepEqual(
        (await box.rows()).map(({ pid, restarts }) => [pid, restarts]),
        before.map(({ pid, restarts }) => [pid, restarts]),
      );
      assert.equal(await box.daemonPid(), daemon);
      assert.deepEqual((await load.stop()).failures, []);
      await box.ok('reload', 'web');
    },
  );

  test('a supervisor without descriptors starts what it could not start once it has some', withPrlimit, async (t) => {
    const box = await pressureBox(t);
    await box.ok('start', fixture('idles.js'), '--name', 'job', '--max-restarts', '2');
    await box.ok('start', fixture('idles.js'), '--name', 'calm');
    const supervisor = box.sharedSupervisor();
    const [calm] = await box.app('calm');
    const [job] = await box.app('job');
    const giveBack = await takeDescriptors(box, supervisor, box.supervisorSocket());
    process.kill(job?.pid ?? 0, 'SIGKILL');
    const waits = async () => (await box.app('job'))[0]?.state.kind === 'backoff';
    await until(waits, 'a wait', async () => JSON.stringify(await box.app('job')));
    const { stderr } = await box.fails('restart', 'job');
    assert.match(stderr, /it cannot be started: the machine is short of file descriptors \(EMFILE\)/);
    assert.match(stderr, /next: free it, or raise its limit/);
    assert.match((await box.ok('list')).stdout, /job \(0\) the machine is short of file descriptors/);
    giveBack();
    const isUp = async () => (await box.app('job'))[0]?.state.kind === 'online';
    await until(isUp, 'job to be online');
    assert.equal((await box.app('calm'))[0]?.pid, calm?.pid);
    assert.equal(box.sharedSupervisor(), supervisor);
  });

  test(
    'a cluster whose supervisor has no descriptors keeps its workers, and starts others later',
    withPrlimit,
    async (t) => {
      const box = await pressureBox(t);
      await box.ok('start', fixture('counts-requests.js'), '--name', 'web', '-i', '2');
      const before = await box.app('web');
      const [supervisor = 0] = box.supervisors();
      const load = startLoad(t, box.port, 2);
      const giveBack = await takeDescriptors(box, supervisor, box.supervisorSocket());
      const { stderr } = await box.fails('reload', 'web');
      assert.match(stderr, /the machine is short of file descriptors \(EMFILE\)/);
      await box.fails('scale', 'web', '3');
      assert.deepEqual(
        (await box.app('web')).slice(0, 2).map(({ pid }) => pid),
        before.map(({ pid }) => pid),
      );
      giveBack();
      const areUp = async () => (await box.app('web')).every(({ state }) => state.kind === 'online');
      await until(areUp, 'all to be online', async () => JSON.stringify(await box.app('web')));
      await box.ok('reload', 'web');
      assert.deepEqual((await load.stop()).failures, []);
    },
  );

  test('what is passed on to a supervisor without descriptors is served all the same', withPrlimit, async (t) => {
    const box = await pressureBox(t);
    await box.ok('start', fixture('http-slow-answers.js'), '--name', 'web', '-i', '3');
    const [supervisor = 0] = box.supervisors();
    await takeDescriptors(box, supervisor, box.supervisorSocket());
    // More at once than a worker may have as its share, so that some are passed on.
    const answers = await Promise.all(Array.from({ length: 60 }, () => get(box.port)));
    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
  });

  test('adopted apps are not taken for gone by a supervisor that cannot look at them', withPrlimit, async (t) => {
    const box = await pressureBox(t);
    await box.ok('start', fixture('idles.js'), '--name', 'job');
    await box.ok('start', 'exec sleep 1000', '--name', 'sleeper');
    const pids = async () => (await box.rows()).map(({ pid }) => pid);
    const before = await pids();
    const first = box.sharedSupervisor();
    process.kill(first, 'SIGKILL');
    await until(() => box.supervisors().some((pid) => pid !== first), 'another supervisor');
    await until(async () => (await box.rows()).every(({ state }) => state.kind === 'online'), 'all to be adopted');
    await takeDescriptors(box, box.sharedSupervisor(), box.supervisorSocket());
    // Longer than between two close looks.
    await new Promise((resolve) => setTimeout(resolve, 2500));
    assert.deepEqual(await pids(), before);
    assert.ok(before.every((pid) => isAlive(pid ?? 0)));
  });
});
