import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fixture, sandbox } from './harness.ts';
import { isAlive } from './processes.ts';
import { differentAnswers, startLoad } from './requests.ts';

test('to 6, by +3, by -2: all that are there answer, and no request fails', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', fixture('http-hello.js'), '--name', 'web', '-i', '2');
  const first = await box.app('web');
  const load = startLoad(t, box.port);

  const { stderr: up } = await box.ok('scale', 'web', '4');
  assert.match(up, /web scaled to 4 \(2 started\)/);
  assert.doesNotMatch(up, /listens nowhere/);
  assert.equal((await box.app('web')).length, 4);
  await box.ok('scale', 'web', '+3');
  const seven = await box.app('web');
  assert.equal(seven.length, 7);
  assert.ok(seven.every(({ state }) => state.kind === 'online'));
  assert.equal((await differentAnswers(box.port, 7)).size, 7);
  assert.deepEqual(
    seven.slice(0, 2).map(({ pid }) => pid),
    first.map(({ pid }) => pid),
    'those that ran go on',
  );

  assert.match((await box.ok('scale', 'web', '-5')).stderr, /web scaled to 2 \(5 ended\)/);
  const two = await box.app('web');
  assert.deepEqual(
    two.map(({ id, pid, restarts }) => [id, pid, restarts]),
    first.map(({ id, pid }) => [id, pid, 0]),
  );
  for (const { pid } of seven.slice(2)) assert.equal(isAlive(pid ?? 0), false);
  const { failures, bodies } = await load.stop();
  assert.deepEqual(failures, []);
  assert.ok(bodies.length > 0);
});

test('new instances get the lowest free ids and indexes', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', fixture('port-zero.js'), '--name', 'web', '-i', '3');
  await box.ok('delete', '1');
  await box.ok('scale', 'web', '3');
  assert.deepEqual(
    (await box.app('web')).map(({ id, index }) => [id, index]),
    [
      [0, 0],
      [1, 1],
      [2, 2],
    ],
  );
});

test('a fork-mode app of several copies is scaled as well', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', 'exec sleep 1000', '--name', 'copies', '-i', '1');
  await box.ok('scale', 'copies', '3');
  const rows = await box.app('copies');
  assert.equal(rows.filter(({ state }) => state.kind === 'online').length, 3);
  await box.ok('scale', 'copies', '1');
  assert.equal((await box.app('copies')).length, 1);
});

test('to as many as there are changes nothing', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', fixture('port-zero.js'), '--name', 'web', '-i', '2');
  const before = await box.app('web');
  const { stderr } = await box.ok('scale', 'web', '2');
  assert.match(stderr, /web has that many instances already/);
  assert.deepEqual(
    (await box.app('web')).map(({ pid }) => pid),
    before.map(({ pid }) => pid),
  );
});

test('none, junk, and more than one app are refused', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', fixture('port-zero.js'), fixture('idles.js'));
  assert.match((await box.fails('scale', 'port-zero', '-9')).stderr, /at least 1 must be left[\s\S]*next: /);
  assert.match((await box.fails('scale', 'port-zero', 'many')).stderr, /scale takes a number such as 6, \+3 or -2/);
  assert.match((await box.fails('scale', 'all', '2')).stderr, /more than one app/);
  assert.match((await box.fails('scale', 'nobody', '2')).stderr, /"nobody".*port-zero, idles/);
  assert.equal((await box.rows()).length, 2);
});

test('a new instance that fails is told, and those that serve go on', async (t) => {
  const box = await sandbox(t);
  const answers = "require('node:http').createServer((q, s) => s.end('ok')).listen(process.env.PORT, '127.0.0.1');";
  box.write('app.js', answers);
  await box.ok('start', 'app.js', '-i', '2');
  const before = await box.app('app');
  box.write('app.js', "throw new Error('broken meanwhile');");
  const { stderr } = await box.fails('scale', 'app', '3');
  assert.match(stderr, /broken meanwhile/);
  const after = await box.app('app');
  assert.deepEqual(
    after.slice(0, 2).map(({ pid, state }) => [pid, state.kind]),
    before.map(({ pid }) => [pid, 'online']),
  );
  assert.notEqual(after[2]?.state.kind, 'online');
});
