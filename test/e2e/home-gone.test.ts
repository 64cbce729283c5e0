import assert from 'node:assert/strict';
import { readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { fixture, type Sandbox, sandbox } from './harness.ts';
import { isAlive } from './processes.ts';
import { until } from './until.ts';

const pidsOf = async (box: Sandbox) => (await box.rows()).map(({ name, pid }) => `${name} ${pid}`);
const allOf = async (box: Sandbox) => [await box.daemonPid(), ...box.supervisors()];

/** One app in fork mode and a cluster. */
async function running(t: TestContext): Promise<Sandbox> {
  const box = await sandbox(t);
  await box.ok('start', '/bin/sleep', '--', '9876');
  await box.ok('start', fixture('http-hello.js'), '--name', 'web', '-i', '2');
  return box;
}

const gone = {
  'its run folder': (box: Sandbox) => rmSync(join(box.home, 'run'), { recursive: true }),
  'all of it': (box: Sandbox) => rmSync(box.home, { recursive: true }),
  'what is in its run folder': (box: Sandbox) => {
    for (const entry of readdirSync(join(box.home, 'run'))) rmSync(join(box.home, 'run', entry), { recursive: true });
  },
};

describe('a home that is removed while apps run', () => {
  for (const [what, remove] of Object.entries(gone)) {
    test(`${what}: a command at once finds the same daemon and apps`, async (t) => {
      const box = await running(t);
      const [before, upkeep] = [await pidsOf(box), await allOf(box)];
      remove(box);
      assert.deepEqual(await pidsOf(box), before);
      assert.deepEqual(await allOf(box), upkeep);
      await box.ok('reload', 'web');
      await box.ok('restart', 'sleep');
      assert.match((await box.ok('kill')).stderr, /^stopped 3 processes and the daemon$/m);
    });
  }

  test('is made again by itself, and what is wanted is saved again', async (t) => {
    const box = await running(t);
    const [before, upkeep] = [await pidsOf(box), await allOf(box)];
    rmSync(box.home, { recursive: true });
    const made = ['state.json', 'run/daemon.lock', 'run/daemon.sock', 'run/supervisor-shared.ledger'];
    for (const file of made) {
      await until(() => statSync(join(box.home, file), { throwIfNoEntry: false }), file);
    }
    process.kill((await allOf(box))[0] ?? 0, 'SIGKILL');
    assert.deepEqual(await pidsOf(box), before);
    assert.deepEqual(box.supervisors(), upkeep.slice(1));
  });

  test('and whose daemon is gone too: the next one finds the supervisors by what marks them', async (t) => {
    const box = await running(t);
    const [before, supervisors] = [await pidsOf(box), box.supervisors()];
    const daemon = await box.daemonPid();
    rmSync(join(box.home, 'run'), { recursive: true });
    process.kill(daemon, 'SIGKILL');
    assert.deepEqual(await pidsOf(box), before);
    assert.deepEqual(box.supervisors(), supervisors);
  });

  test('and whose supervisors are gone too: nothing runs twice', async (t) => {
    const box = await running(t);
    const before = await box.rows();
    for (const pid of await allOf(box)) process.kill(pid, 'SIGKILL');
    rmSync(join(box.home, 'run'), { recursive: true });
    await until(async () => (await box.rows()).every(({ state }) => state.kind === 'online'), 'all are online');
    assert.deepEqual(
      before.filter(({ pid }) => pid !== null && isAlive(pid)),
      [],
    );
  });
});

describe('kill where no daemon runs', () => {
  test('ends what all of upkeep has left, and starts nothing', async (t) => {
    const box = await running(t);
    await box.ok('stop', 'sleep');
    const [rows, upkeep] = [await box.rows(), await allOf(box)];
    for (const pid of upkeep) process.kill(pid, 'SIGKILL');
    const { stderr } = await box.ok('kill');
    assert.match(stderr, /^no daemon runs for .*; of what it had left, 2 processes were stopped$/m);
    assert.deepEqual(
      rows.filter(({ pid }) => pid !== null && isAlive(pid)),
      [],
    );
    assert.doesNotMatch((await box.ok('kill')).stderr, /left/);
  });

  test('ends it by its log pipes where nothing else is left', async (t) => {
    const box = await running(t);
    const rows = await box.rows();
    for (const pid of await allOf(box)) process.kill(pid, 'SIGKILL');
    rmSync(box.home, { recursive: true });
    assert.match((await box.ok('kill')).stderr, /^no daemon runs for .*; of what it had left/m);
    assert.deepEqual(
      rows.filter(({ pid }) => pid !== null && isAlive(pid)),
      [],
    );
  });
});
