import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fixture } from '../e2e/harness.ts';
import { startLoad } from '../e2e/requests.ts';
import { until } from '../e2e/until.ts';
import { startCounter } from './counter.ts';
import { daemonOf, type PressureBox, pressureBox } from './pressure.ts';

/** Stops a process, which then answers nothing and holds on to all that it has. @returns what lets it go on. */
function stop(box: PressureBox, pid: number): () => void {
  const goOn = () => {
    try {
      process.kill(pid, 'SIGCONT');
    } catch {
      // It has ended.
    }
  };
  process.kill(pid, 'SIGSTOP');
  box.atEnd(goOn);
  return goOn;
}

/** All lines of the log, each once and in order. */
async function checkLines(box: PressureBox, atLeast: number): Promise<void> {
  const numbers = () => [...box.log('counter-out.log').matchAll(/^line (\d+)$/gm)].map(([, number]) => Number(number));
  await until(() => numbers().length >= atLeast, `${atLeast} lines`);
  const found = numbers();
  assert.deepEqual(
    found,
    Array.from({ length: found.length }, (_, index) => index + 1),
  );
}

describe('a daemon that is stopped for ten seconds and more', { concurrency: true }, () => {
  test('holds up no app; commands say that it does not answer, and what to do; then all is as before', async (t) => {
    const box = await pressureBox(t);
    await box.ok('start', fixture('counts-requests.js'), '--name', 'web', '-i', '2');
    const count = await startCounter(box);
    const identity = async () => (await box.rows()).map(({ name, pid, restarts }) => [name, pid, restarts]);
    const before = await identity();
    const daemon = daemonOf(box);
    const load = startLoad(t, box.port, 2);
    const goOn = stop(box, daemon);
    const [countBefore, answeredBefore, since] = [count(), load.answered(), performance.now()];
    const asked = await Promise.all([
      box.upkeep('restart', 'counter'),
      box.upkeep('list', '--json'),
      box.upkeep('ping'),
    ]);
    for (const { code, stderr } of asked) {
      assert.equal(code, 1);
      assert.match(stderr, new RegExp(`the daemon, process ${daemon}, does not answer: no greeting within 5000 ms`));
      assert.match(stderr, new RegExp(`next: if it was stopped, .kill -CONT ${daemon}.; else .kill -9 ${daemon}.`));
    }
    await until(() => performance.now() - since > 10_000, 'ten seconds to pass');
    assert.ok(count() > countBefore + 100, `${count()} lines, ${countBefore} of them before`);
    assert.ok(load.answered() > answeredBefore + 100);
    goOn();
    assert.deepEqual(await identity(), before);
    await box.ok('restart', 'web');
    await checkLines(box, count());
    assert.deepEqual((await load.stop()).failures, []);
  });

  test('in the middle of a command fails that, and what was begun goes on', async (t) => {
    const box = await pressureBox(t);
    box.env['GATE'] = join(box.cwd, 'ready');
    const args = ['--wait-ready', '--listen-timeout', '30000'];
    const start = box.upkeep('start', fixture('ready-when-file.js'), '--name', 'slow', ...args);
    const slow = async () => (await box.app('slow'))[0];
    const begun = await until(async () => ((await slow())?.pid ? slow() : null), 'the start to have begun');
    const goOn = stop(box, daemonOf(box));
    const { code, stderr } = await start;
    assert.equal(code, 1);
    assert.match(stderr, /does not answer: nothing was heard for 10000 ms/);
    box.write('ready', '');
    goOn();
    await until(async () => (await slow())?.state.kind === 'online', 'the start to be carried out');
    assert.equal((await slow())?.pid, begun.pid);
  });
});

describe('a supervisor that is stopped', { concurrency: true }, () => {
  test('holds up no app that writes little; commands say so, and do their work when it goes on', async (t) => {
    const box = await pressureBox(t);
    const count = await startCounter(box);
    const [before] = await box.app('counter');
    const supervisor = box.sharedSupervisor();
    const goOn = stop(box, supervisor);
    const countBefore = count();
    const { stderr } = await box.fails('restart', 'counter');
    const silent = `its supervisor, process ${supervisor}, does not answer`;
    assert.ok(stderr.includes(`${silent}: nothing was heard for 10000 ms`), stderr);
    assert.match(
      stderr,
      new RegExp(`next: if it was stopped, .kill -CONT ${supervisor}., and it does what it was told`),
    );
    assert.ok((await box.ok('list')).stdout.includes(`counter (0) is unhealthy: ${silent}`));
    assert.ok(count() > countBefore + 100, `${count()} lines, ${countBefore} of them before`);
    assert.equal((await box.app('counter'))[0]?.pid, before?.pid);
    const written = count();
    goOn();
    const isAgain = async () => {
      const [row] = await box.app('counter');
      return row?.state.kind === 'online' && row.restarts === 1 && row.unhealthy === null;
    };
    await until(isAgain, 'the restart', async () => JSON.stringify(await box.app('counter')));
    const [first = ''] = box.log('counter-out.log').split('line 1\n').slice(1);
    assert.ok(first.trimEnd().split('\n').length >= written - 1, 'all that was written meanwhile is in the log');
  });

  test('while a daemon starts does not keep it from answering', async (t) => {
    const box = await pressureBox(t);
    await box.ok('start', fixture('counts-requests.js'), '--name', 'web', '-i', '2');
    await box.ok('start', fixture('idles.js'), '--name', 'job');
    const before = await box.rows();
    const goOn = stop(box, box.sharedSupervisor());
    process.kill(daemonOf(box), 'SIGKILL');
    const { stdout } = await box.ok('list');
    assert.match(stdout, /web .* online/);
    assert.match(stdout, /job \(2\) its supervisor has not answered yet/);
    await box.ok('restart', 'web');
    goOn();
    const isBack = async () => (await box.app('job'))[0]?.pid === before[2]?.pid;
    await until(isBack, 'the same process', async () => JSON.stringify(await box.app('job')));
  });
});
