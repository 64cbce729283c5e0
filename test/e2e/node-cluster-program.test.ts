import assert from 'node:assert/strict';
import { availableParallelism } from 'node:os';
import { test } from 'node:test';
import { fixture, sandbox } from './harness.ts';
import { childrenOf, commandLine, isAlive, processesWith } from './processes.ts';
import { differentAnswers } from './requests.ts';
import { sorted } from './sorted.ts';
import { until } from './until.ts';

const SCRIPT = fixture('node-cluster-primary.js');

test("Node's documented cluster program runs in fork mode untouched", async (t) => {
  const box = await sandbox(t);
  await box.ok('start', SCRIPT, '--name', 'app');
  const [row, ...more] = await box.rows();
  assert.deepEqual(more, []);
  assert.deepEqual([row?.mode, row?.state.kind], ['fork', 'online']);
  const cpus = availableParallelism();
  const log = await box.logged('app-out.log', new RegExp(`(Worker \\d+ started[\\s\\S]*){${cpus}}`));
  assert.match(log, new RegExp(`^Primary ${row?.pid} is running`));
  const workers = [...log.matchAll(/Worker (\d+) started/g)].map((match) => Number(match[1]));
  assert.deepEqual(sorted(childrenOf(row?.pid ?? 0)), sorted(workers));

  const first = await until(async () => {
    const answers = await differentAnswers(box.port, cpus).catch(() => null);
    return answers?.size === cpus && answers;
  }, 'all its workers to answer');
  assert.deepEqual(sorted([...first].map((body) => Number(/\d+/.exec(body)?.[0]))), sorted(workers));

  // It logs the death of a worker, and that is its own business.
  process.kill(workers[0] ?? 0, 'SIGKILL');
  await box.logged('app-out.log', `worker ${workers[0]} died`);
  const [after] = await box.rows();
  assert.deepEqual([after?.pid, after?.restarts], [row?.pid, 0]);

  await box.ok('stop', 'app');
  assert.deepEqual([row?.pid ?? 0, ...workers].filter(isAlive), []);
  assert.deepEqual(
    processesWith(box.cwd).filter((pid) => commandLine(pid).includes(SCRIPT)),
    [],
  );
});

for (const command of ['restart', 'reload', 'delete'] as const) {
  test(`${command} leaves no worker of the old primary`, async (t) => {
    const box = await sandbox(t);
    await box.ok('start', SCRIPT, '--name', 'app');
    const log = await box.logged('app-out.log', /(Worker \d+ started[\s\S]*){1}/);
    const [before] = await box.rows();
    const workers = [...log.matchAll(/Worker (\d+) started/g)].map((match) => Number(match[1]));
    await box.ok(command, 'app');
    assert.deepEqual([before?.pid ?? 0, ...workers].filter(isAlive), []);
    const [after] = await box.rows();
    if (command === 'delete') assert.equal(after, undefined);
    else assert.equal(after?.state.kind, 'online');
  });
}

test('a primary that is killed takes its workers along, and a new one comes', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', SCRIPT, '--name', 'app');
  const [before] = await box.rows();
  const cpus = availableParallelism();
  const log = await box.logged('app-out.log', new RegExp(`(Worker \\d+ started[\\s\\S]*){${cpus}}`));
  const workers = [...log.matchAll(/Worker (\d+) started/g)].map((match) => Number(match[1]));
  process.kill(before?.pid ?? 0, 'SIGKILL');
  await until(
    async () => (await box.rows()).some(({ restarts, state }) => restarts === 1 && state.kind === 'online'),
    'a new primary',
  );
  await until(() => !workers.some(isAlive), 'the end of the old workers');
  await until(async () => (await differentAnswers(box.port, cpus).catch(() => null))?.size === cpus, 'new workers');
});

test('its workers load nothing of upkeep', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', SCRIPT, '--name', 'app');
  await box.logged('app-out.log', /Worker \d+ started/);
  const [row] = await box.rows();
  for (const pid of childrenOf(row?.pid ?? 0)) assert.doesNotMatch(commandLine(pid), /bootstrap/);
});
