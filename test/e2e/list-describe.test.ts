import assert from 'node:assert/strict';
import { test } from 'node:test';
import { canReusePort } from '../../src/domain/reuse-port.ts';
import { fixture, NODE_VERSION, sandbox } from './harness.ts';
import { isAlive } from './processes.ts';
import { until } from './until.ts';

test('list is a table with all that people look for', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', fixture('http-hello.js'), '--name', 'web', '-i', '2');
  await box.ok('start', fixture('idles.js'));
  const [zero] = await box.rows();
  const { stdout } = await box.ok('list');
  assert.match(stdout, /id.*name.*mode.*pid.*uptime.*restarts.*status.*cpu.*memory/);
  assert.match(stdout, new RegExp(`0 │ web +│ cluster │ +${zero?.pid} │ +\\d+s │ +0 │ online .*[kM]B`));
  assert.match(stdout, /2 │ idles +│ fork/);
  for (const alias of ['ls', 'ps', 'l', 'status']) assert.match((await box.ok(alias)).stdout, /│ idles/);
});

test('list sees at once what the command before it did', async (t) => {
  const box = await sandbox(t);
  for (const [command, shown] of [
    [['start', fixture('idles.js')], /idles .*online/],
    [['stop', 'idles'], /idles .*stopped/],
    [['restart', 'idles'], /idles .*online/],
    [['delete', 'idles'], /No apps yet/],
  ] as const) {
    await box.ok(...command);
    assert.match((await box.ok('list')).stdout, shown, command.join(' '));
  }
});

test('list tells whose log lines are lost', async (t) => {
  if (process.platform !== 'linux') return t.skip('there is no /dev/full');
  const box = await sandbox(t);
  await box.ok('start', fixture('prints-lines.js'), '--name', 'app', '--output', '/dev/full', '--', '3');
  const shown = async () => (await box.ok('list')).stdout;
  const line = 'app (0) is losing what it writes to its logs: no space left on the disk\n';
  await until(async () => (await shown()).endsWith(line), 'the line below the table', shown);
});

test('list is sorted as asked', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', fixture('logs-signals.js'), '--name', 'bbb');
  await box.ok('start', fixture('idles.js'), '--name', 'aaa');
  const order = async (...args: string[]) =>
    (JSON.parse((await box.ok('list', '--json', ...args)).stdout) as { name: string }[]).map(({ name }) => name);
  assert.deepEqual(await order(), ['bbb', 'aaa']);
  assert.deepEqual(await order('--sort', 'name'), ['aaa', 'bbb']);
  assert.deepEqual(await order('--sort', 'name:desc'), ['bbb', 'aaa']);
  assert.match((await box.fails('list', '--sort', 'nme')).stderr, /no field "nme"[\s\S]*name/);
});

test('stdout is data, stderr is talk, and --silent stops the talk', async (t) => {
  const box = await sandbox(t);
  const loud = await box.ok('start', fixture('idles.js'), '--name', 'one');
  assert.equal(loud.stdout, '');
  assert.notEqual(loud.stderr, '');
  const silent = await box.ok('start', fixture('idles.js'), '--name', 'two', '--silent');
  assert.deepEqual([silent.stdout, silent.stderr], ['', '']);
  const json = await box.ok('restart', 'one', '--json');
  assert.deepEqual(
    (JSON.parse(json.stdout) as { id: number; name: string; ok: boolean }[]).map(({ id, name, ok }) => [id, name, ok]),
    [[0, 'one', true]],
  );
});

test("jlist and prettylist have pm2's shape", async (t) => {
  const box = await sandbox(t);
  assert.deepEqual(JSON.parse((await box.ok('jlist')).stdout), []);
  await box.ok('start', fixture('http-hello.js'), '--name', 'web', '-i', '2');
  await box.ok('stop', '1');
  const [row] = await box.rows();
  const list = JSON.parse((await box.ok('jlist')).stdout);
  assert.equal(list.length, 2);
  assert.deepEqual([list[0].pid, list[0].name, list[0].pm_id], [row?.pid, 'web', 0]);
  assert.equal(typeof list[0].monit.memory, 'number');
  assert.equal(typeof list[0].monit.cpu, 'number');
  const { pm2_env: env } = list[0];
  assert.deepEqual(
    [env.status, env.exec_mode, env.restart_time, env.pm_exec_path, env.pm_cwd, env.namespace],
    ['online', 'cluster_mode', 0, fixture('http-hello.js'), box.cwd, 'default'],
  );
  assert.deepEqual([list[1].pm2_env.status, list[1].pid], ['stopped', 0]);
  const pretty = await box.ok('prettylist');
  assert.match(pretty.stdout, /^\[\n {2}\{/);
  assert.equal(JSON.parse(pretty.stdout).length, 2);
});

test('describe shows the command, the readiness, the address and the logs', async (t) => {
  const box = await sandbox(t);
  const flags = ['--name', 'web', '-i', '2', '--node-args', '--no-warnings'];
  await box.ok('start', fixture('http-hello.js'), ...flags, '--', 'one', 'two');
  const { stdout } = await box.ok('describe', 'web');
  assert.match(stdout, /^web\n/);
  assert.match(stdout, /mode +cluster, 2 instances/);
  assert.match(stdout, /command +\S*node --no-warnings \S*http-hello\.js one two/);
  assert.match(stdout, new RegExp(`working directory +${box.cwd}`));
  assert.match(stdout, /restarts +yes; errored after 16 unstable runs in a row, and tried again now and then\n/);
  assert.match(stdout, /ready when +it listens and its main module has run; or, .* stayed up for 3000 ms after that/);
  assert.match(stdout, /stop +SIGINT, SIGKILL after 1600 ms/);
  assert.equal(stdout.match(new RegExp(`listens on +127\\.0\\.0\\.1:${box.port}`, 'g'))?.length, 2);
  assert.match(stdout, new RegExp(`stdout +${box.home}/logs/web-out-0\\.log`));
  assert.match(stdout, new RegExp(`stderr +${box.home}/logs/web-error-1\\.log`));
  for (const alias of ['desc', 'info', 'show']) assert.match((await box.ok(alias, '0')).stdout, /instance 0/);
});

test('describe tells the rule of readiness in fork mode', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', fixture('idles.js'), '--name', 'node');
  await box.ok('start', 'sleep 100', '--name', 'other');
  assert.match(
    (await box.ok('describe', 'node')).stdout,
    /main module has run; or, .* stayed up for 500 ms after that/,
  );
  assert.match((await box.ok('describe', 'other')).stdout, /ready when +it has stayed up for 500 ms\n/);
});

test('describe tells where balance kernel is not to be had', async (t) => {
  const box = await sandbox(t);
  const app = { name: 'web', script: fixture('http-hello.js'), instances: 2, balance: 'kernel' };
  box.write('apps.json', JSON.stringify({ apps: [app] }));
  await box.ok('start', 'apps.json');
  const version = NODE_VERSION.join('.');
  const { stdout } = await box.ok('describe', 'web');
  if (canReusePort(version, process.platform)) assert.match(stdout, /balance +kernel\n/);
  else assert.match(stdout, new RegExp(`balance +kernel \\(as rr: .* this is ${process.platform} and ${version}`));
});

test('id, pid and env answer for scripts', async (t) => {
  const box = await sandbox(t);
  box.env['COLOUR'] = 'blue';
  await box.ok('start', fixture('port-zero.js'), '--name', 'web', '-i', '2');
  const [zero, one] = await box.rows();
  assert.equal((await box.ok('id', 'web')).stdout, '0\n1\n');
  assert.equal((await box.ok('pid', 'web')).stdout, `${zero?.pid}\n${one?.pid}\n`);
  assert.equal((await box.ok('pid', '1')).stdout, `${one?.pid}\n`);
  await box.ok('stop', '1');
  assert.deepEqual(
    await box.fails('pid', '1').then(({ code, stdout }) => ({ code, stdout })),
    { code: 1, stdout: '' },
    'nothing that `kill` would take for a process',
  );
  const { stdout } = await box.ok('env', '1');
  assert.match(stdout, /^COLOUR=blue$/m);
  assert.match(stdout, /^NODE_APP_INSTANCE=1$/m);
  assert.doesNotMatch(stdout, /UPKEEP_RUN/);
});

test('secrets of the environment are in no list', async (t) => {
  const box = await sandbox(t);
  box.env['DATABASE_PASSWORD'] = 'hunter2';
  await box.ok('start', fixture('idles.js'));
  for (const args of [
    ['list'],
    ['list', '--json'],
    ['jlist'],
    ['describe', 'idles'],
    ['describe', 'idles', '--json'],
  ]) {
    assert.doesNotMatch((await box.ok(...args)).stdout, /hunter2|DATABASE_PASSWORD/, args.join(' '));
  }
  assert.match((await box.ok('env', '0')).stdout, /DATABASE_PASSWORD=hunter2/);
});

test('ping tells whether a daemon runs, and starts none', async (t) => {
  const box = await sandbox(t);
  assert.match((await box.fails('ping')).stderr, /no daemon runs for/);
  await box.ok('list');
  const pid = await box.daemonPid();
  assert.ok(isAlive(pid));
  assert.match((await box.ok('ping')).stdout, new RegExp(`^pong: daemon \\S+, pid ${pid}\n$`));
});

test('help, a version, and help on a command', async (t) => {
  const box = await sandbox(t);
  const overview = await box.ok();
  for (const command of ['start', 'reload', 'scale', 'logs', 'describe', 'kill']) {
    assert.match(overview.stdout, new RegExp(`^ +${command}\\b`, 'm'));
  }
  assert.match((await box.ok('--version')).stdout, /^\d+\.\d+\.\d+\n$/);
  assert.match((await box.ok('help', 'start')).stdout, /--instances[\s\S]*Examples:/);
  assert.match((await box.ok('reload', '--help')).stdout, /ecosystem file/);
});
