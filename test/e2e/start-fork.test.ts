import assert from 'node:assert/strict';
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { test } from 'node:test';
import { fixture, sandbox } from './harness.ts';
import { isAlive } from './processes.ts';
import { get } from './requests.ts';

test('a script is started once, serves, and is shown', async (t) => {
  const box = await sandbox(t);
  const { stderr } = await box.ok('start', fixture('http-hello.js'));
  assert.match(stderr, /http-hello started/);
  assert.match(stderr, /│\s+0 │ http-hello │ fork\s+│/);
  const [row, ...more] = await box.rows();
  assert.deepEqual(more, []);
  assert.equal(row?.state.kind, 'online');
  assert.equal(row?.mode, 'fork');
  assert.equal(row?.restarts, 0);
  const answer = JSON.parse((await get(box.port)).body) as { pid: number; instance: string };
  assert.equal(answer.pid, row?.pid);
  assert.equal(answer.instance, '0');
});

test('arguments after --, --name, --namespace and --cwd reach the app', async (t) => {
  const box = await sandbox(t);
  const folder = box.write('deep/er/file', '').replace(/\/file$/, '');
  const flags = ['--name', 'viewer', '--namespace', 'shop', '--cwd', folder];
  await box.ok('start', fixture('tells-its-view.js'), ...flags, '--', '--name', 'of the app', '-x');
  const [row] = await box.rows();
  assert.deepEqual([row?.name, row?.namespace], ['viewer', 'shop']);
  const view = JSON.parse((await get(box.port)).body) as { argv: string[]; cwd: string };
  assert.deepEqual(view.argv.slice(1), [fixture('tells-its-view.js'), '--name', 'of the app', '-x']);
  assert.equal(realpathSync(view.cwd), realpathSync(folder));
});

test('--node-args reach Node.js', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', fixture('tells-its-view.js'), '--node-args', '--stack-size=900 --no-warnings');
  const view = JSON.parse((await get(box.port)).body) as { execArgv: string[] };
  assert.deepEqual(view.execArgv, ['--stack-size=900', '--no-warnings']);
});

test('a relative path is found from the folder of the command', async (t) => {
  const box = await sandbox(t);
  box.write('sub/app.js', 'setInterval(() => {}, 60_000); console.log(process.cwd());');
  await box.ok('start', 'sub/app.js');
  await box.logged('app-out.log', realpathSync(box.cwd));
});

test('a command line in quotes and a program on PATH run too', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', 'echo "two words" && exec sleep 1000', '--name', 'line');
  await box.logged('line-out.log', 'two words\n');
  await box.ok('start', 'sleep', '--', '1000');
  assert.deepEqual(
    (await box.rows()).map(({ name, state }) => [name, state.kind]),
    [
      ['line', 'online'],
      ['sleep', 'online'],
    ],
  );
});

test('several scripts are started by one command', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', fixture('idles.js'), fixture('logs-signals.js'));
  assert.deepEqual(
    (await box.rows()).map(({ id, name, state }) => [id, name, state.kind]),
    [
      [0, 'idles', 'online'],
      [1, 'logs-signals', 'online'],
    ],
  );
});

test('it is online only when its main module has run', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', fixture('esm-with-top-level-await.mjs'), '--name', 'slow');
  assert.match((await get(box.port)).body, /^await /);
  await box.logged('slow-out.log', 'evaluated');
});

test('what runs already is not started again, and -f restarts it with the new options', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', fixture('http-hello.js'));
  const [before] = await box.rows();
  const { stderr } = await box.fails('start', fixture('http-hello.js'));
  assert.match(stderr, /there is an app named http-hello already/);
  assert.match(stderr, /next: .*upkeep restart http-hello/);
  assert.equal((await box.rows())[0]?.pid, before?.pid);
  assert.equal((await box.rows()).length, 1);

  await box.ok('start', fixture('http-hello.js'), '-f', '--namespace', 'other');
  const [after, ...more] = await box.rows();
  assert.deepEqual(more, []);
  assert.notEqual(after?.pid, before?.pid);
  assert.equal(after?.namespace, 'other');
  assert.equal(isAlive(before?.pid ?? 0), false);
});

test('another script of the same name is refused', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', fixture('idles.js'), '--name', 'web');
  const { stderr } = await box.fails('start', fixture('http-hello.js'), '--name', 'web');
  assert.match(stderr, /there is an app named web already, for .*idles\.js/);
  assert.match(stderr, /next: .*--name/);
});

test('a stopped app is started by its name', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', fixture('http-hello.js'), '--name', 'web');
  await box.ok('stop', 'web');
  await box.ok('start', 'web');
  const [row] = await box.rows();
  assert.equal(row?.state.kind, 'online');
  assert.equal((await get(box.port)).status, 200);
});

test('--no-autostart registers an app and starts nothing', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', fixture('idles.js'), '--no-autostart');
  const [row] = await box.rows();
  assert.equal(row?.state.kind, 'stopped');
  assert.equal(row?.pid, null);
  await box.ok('start', 'idles');
  assert.equal((await box.rows())[0]?.state.kind, 'online');
});

test('-i of a program that is not Node.js makes copies in fork mode, each with its own index', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', 'echo "I am $NODE_APP_INSTANCE" && exec sleep 1000', '--name', 'copy', '-i', '2');
  const rows = await box.rows();
  assert.deepEqual(
    rows.map(({ mode, state }) => [mode, state.kind]),
    [
      ['fork', 'online'],
      ['fork', 'online'],
    ],
  );
  await box.logged('copy-out.log', 'I am 0');
  await box.logged('copy-out-1.log', 'I am 1');
});

test('--increment-var gives each instance its own number', async (t) => {
  const box = await sandbox(t);
  const line = 'echo "port $PORT" && exec sleep 1000';
  await box.ok('start', line, '--name', 'copy', '-i', '2', '--increment-var', 'PORT');
  await box.logged('copy-out.log', `port ${box.port}`);
  await box.logged('copy-out-1.log', `port ${box.port + 1}`);
});

test('a pid file holds the pid while the app runs', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', fixture('idles.js'), '--pid', 'run/app-{id}.pid');
  const [row] = await box.rows();
  const path = `${box.cwd}/run/app-0.pid`;
  assert.equal(Number(readFileSync(path, 'utf8')), row?.pid);
  await box.ok('stop', 'idles');
  assert.equal(existsSync(path), false);
});

test('without a target, the ecosystem file of the folder is started', async (t) => {
  const box = await sandbox(t);
  box.write('ecosystem.config.js', `module.exports = { apps: [{ name: 'one', script: '${fixture('idles.js')}' }] };`);
  await box.ok('start');
  assert.deepEqual(
    (await box.rows()).map(({ name }) => name),
    ['one'],
  );
});
