import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fixture, sandbox } from './harness.ts';
import { isAlive } from './processes.ts';
import { get } from './requests.ts';

for (const [mode, flags] of [
  ['fork', []],
  ['cluster', ['-i', '2']],
] as const) {
  test(`${mode} mode: new processes under the old ids, counted`, async (t) => {
    const box = await sandbox(t);
    await box.ok('start', fixture('http-hello.js'), '--name', 'web', ...flags);
    const before = await box.app('web');
    await box.ok('restart', 'web');
    const after = await box.app('web');
    assert.deepEqual(
      after.map(({ id, mode: now, state, restarts }) => [id, now, state.kind, restarts]),
      before.map(({ id }) => [id, mode, 'online', 1]),
    );
    for (const { pid } of before) assert.equal(isAlive(pid ?? 0), false);
    assert.equal((await get(box.port)).status, 200);
  });
}

test('a stopped app is started, one instance by its id is restarted alone', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', fixture('port-zero.js'), '--name', 'web', '-i', '2');
  const [zero, one] = await box.app('web');
  await box.ok('restart', '1');
  const after = await box.app('web');
  assert.equal(after[0]?.pid, zero?.pid);
  assert.notEqual(after[1]?.pid, one?.pid);
  assert.deepEqual(
    after.map(({ restarts }) => restarts),
    [0, 1],
  );
  await box.ok('stop', 'web');
  await box.ok('restart', 'web');
  assert.ok((await box.app('web')).every(({ state }) => state.kind === 'online'));
});

test('a build that is broken is told, and not online', async (t) => {
  const box = await sandbox(t);
  box.write('app.js', 'setInterval(() => {}, 60_000)');
  await box.ok('start', 'app.js', '--restart-delay', '60000');
  box.write('app.js', "throw new Error('broken by an edit')");
  const { stderr } = await box.fails('restart', 'app');
  assert.match(stderr, /broken by an edit/);
  assert.equal((await box.rows())[0]?.state.kind, 'backoff');
});

test('reset sets the counters to zero', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', fixture('idles.js'));
  await box.ok('restart', 'idles');
  await box.ok('restart', 'idles');
  const [before] = await box.rows();
  assert.equal(before?.restarts, 2);
  await box.ok('reset', 'idles');
  const [after] = await box.rows();
  assert.deepEqual([after?.restarts, after?.pid, after?.state.kind], [0, before?.pid, 'online']);
});

test('--update-env takes over the environment of the shell, a plain restart does not', async (t) => {
  const box = await sandbox(t);
  box.env['SAYS'] = 'one';
  await box.ok('start', fixture('http-hello.js'));
  box.env['SAYS'] = 'two';
  await box.ok('restart', 'http-hello');
  assert.match((await get(box.port)).body, /"one"/);
  await box.ok('restart', 'http-hello', '--update-env');
  assert.match((await get(box.port)).body, /"two"/);
});

test('sendSignal reaches the main process', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', fixture('logs-signals.js'), '--name', 'app');
  const { stderr } = await box.ok('sendSignal', 'SIGUSR2', 'app');
  const [row] = await box.rows();
  assert.match(stderr, new RegExp(`sent SIGUSR2 to process ${row?.pid}`));
  await box.logged('app-out.log', 'got SIGUSR2');
  await box.ok('sendSignal', 'hup', '0');
  await box.logged('app-out.log', 'got SIGHUP');
  assert.match((await box.fails('sendSignal', 'SIGNONE', 'app')).stderr, /there is no signal SIGNONE/);
  await box.ok('stop', 'app');
  assert.match((await box.fails('sendSignal', 'SIGUSR2', 'app')).stderr, /none of them runs/);
});
