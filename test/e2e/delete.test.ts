import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fixture, sandbox } from './harness.ts';
import { isAlive } from './processes.ts';
import { get } from './requests.ts';
import { until } from './until.ts';

for (const [mode, flags] of [
  ['fork', []],
  ['cluster', ['-i', '2']],
] as const) {
  test(`${mode} mode: the app is gone, and may be started anew`, async (t) => {
    const box = await sandbox(t);
    await box.ok('start', fixture('http-hello.js'), '--name', 'web', ...flags);
    await box.ok('restart', 'web');
    const before = await box.rows();
    await box.ok('delete', 'web');
    assert.deepEqual(await box.rows(), []);
    for (const { pid } of before) assert.equal(isAlive(pid ?? 0), false);
    await assert.rejects(get(box.port), { code: 'ECONNREFUSED' });

    await box.ok('start', fixture('http-hello.js'), '--name', 'web', ...flags);
    assert.deepEqual(
      (await box.rows()).map(({ id, restarts }) => [id, restarts]),
      before.map(({ id }) => [id, 0]),
    );
  });
}

test('the supervisor of a cluster ends with its app', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', fixture('port-zero.js'), '-i', '2');
  const [supervisor = 0] = box.supervisors();
  assert.ok(isAlive(supervisor));
  await box.ok('delete', 'port-zero');
  await until(() => !isAlive(supervisor), 'the end of the supervisor');
});

test('one instance by its id, the others go on', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', fixture('port-zero.js'), '-i', '3');
  const before = await box.rows();
  await box.ok('delete', '1');
  assert.deepEqual(
    (await box.rows()).map(({ id, pid }) => [id, pid]),
    before.filter(({ id }) => id !== 1).map(({ id, pid }) => [id, pid]),
  );
});

test('a stopped, an errored and a waiting app', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', fixture('idles.js'), '--name', 'stopped');
  await box.ok('stop', 'stopped');
  await box.fails('start', fixture('throws-at-start.js'), '--name', 'errored', '--no-autorestart');
  await box.fails('start', fixture('throws-at-start.js'), '--name', 'waiting', '--restart-delay', '60000');
  assert.deepEqual(
    (await box.rows()).map(({ name, state }) => [name, state.kind]),
    [
      ['stopped', 'stopped'],
      ['errored', 'errored'],
      ['waiting', 'backoff'],
    ],
  );
  await box.ok('delete', 'all');
  assert.deepEqual(await box.rows(), []);
});
