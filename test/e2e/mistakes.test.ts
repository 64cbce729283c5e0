import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fixture, sandbox } from './harness.ts';

test('an unknown option names the nearest one', async (t) => {
  const box = await sandbox(t);
  const { code, stderr } = await box.fails('start', fixture('idles.js'), '--instnces', '2');
  assert.equal(code, 2);
  assert.match(stderr, /unknown option '--instnces'[\s\S]*--instances/);
  assert.deepEqual(await box.rows(), []);
});

test('an unknown command names the nearest one', async (t) => {
  const box = await sandbox(t);
  const { code, stderr } = await box.fails('relaod', 'app');
  assert.equal(code, 2);
  assert.match(stderr, /unknown command 'relaod'[\s\S]*reload/);
});

test('help of what is no command says so', async (t) => {
  const box = await sandbox(t);
  for (const word of ['nope', 'toString']) {
    const { code, stderr } = await box.fails('help', word);
    assert.equal(code, 2);
    assert.match(stderr, new RegExp(`there is no command "${word}"\\n {2}next: `));
  }
  assert.match((await box.ok('help', 'restart')).stdout, /upkeep restart/);
});

test('what would be dropped silently is refused, with what to do', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', fixture('idles.js'), '--name', 'idle');
  const [before] = await box.rows();
  for (const [args, said] of [
    [['restart', 'idle', '--', 'new'], /arguments after --: idle is named .*\n {2}next: .*-f -- <args>/],
    [['reload', 'idle', '--env', 'production'], /--env production: idle is named .*\n {2}next: .*ecosystem file/],
    [['start', 'idle', '--env', 'production'], /--env production: idle is named/],
    [['start', fixture('idles.js'), '--name', 'two', '--no-daemon'], /--no-daemon is not supported yet/],
  ] as const) {
    const { code, stderr } = await box.fails(...args);
    assert.equal(code, 2);
    assert.match(stderr, said);
  }
  assert.deepEqual(
    (await box.rows()).map(({ pid }) => pid),
    [before?.pid],
  );
});

test('options of apps beside a file of apps are refused, with what to do', async (t) => {
  const box = await sandbox(t);
  const file = box.write('apps.json', JSON.stringify({ apps: [{ name: 'one', script: fixture('idles.js') }] }));
  const { code, stderr } = await box.fails('start', file, '-i', '3', '--kill-timeout', '9s');
  assert.equal(code, 2);
  assert.match(
    stderr,
    /^upkeep: --instances, --kill-timeout: the options of apps of \S+ stand in that file\n {2}next: /m,
  );
  assert.deepEqual(await box.rows(), []);
});

test('what a file names and is not there is told with the file and the app', async (t) => {
  const box = await sandbox(t);
  for (const [app, said] of [
    [{ name: 'x', script: 'gone.js' }, /apps\.json, app "x": script not found: /],
    [{ name: 'x', script: fixture('idles.js'), interpreter: 'no-such-one' }, /app "x": interpreter not found: /],
    [{ name: 'x', script: fixture('idles.js'), env: ['A=1'] }, /app "x": env: .*not a list/],
    [{ name: 'x', script: fixture('idles.js'), readiness: { tcp: true, deadlin: 3 } }, /readiness: .*"deadlin"/],
  ] as const) {
    const { code, stderr } = await box.fails('start', box.write('apps.json', JSON.stringify({ apps: [app] })));
    assert.equal(code, 2);
    assert.match(stderr, said);
  }
});

test('apply refuses an environment that no app has: it would take variables away', async (t) => {
  const box = await sandbox(t);
  const app = { name: 'x', script: fixture('idles.js'), env_production: { A: 1 } };
  const file = box.write('apps.json', JSON.stringify({ apps: [app] }));
  for (const command of ['plan', 'apply']) {
    const { code, stderr } = await box.fails(command, file, '--env', 'prod');
    assert.equal(code, 2);
    assert.match(stderr, /no app of the file has env_prod/);
  }
});

test('a missing argument is named', async (t) => {
  const box = await sandbox(t);
  const { stderr: said } = await box.fails('stop');
  assert.match(said, /^upkeep: missing required argument 'targets'\n {2}next: see `upkeep help stop`$/m);
  assert.match((await box.fails('scale', 'app')).stderr, /missing required argument 'count'/);
  const { stderr } = await box.fails('start');
  assert.match(stderr, /There is no ecosystem\.config\.js in this folder/);
  assert.match(stderr, /next: /);
});

test('a value of the wrong kind names the option, what came and what was expected', async (t) => {
  const box = await sandbox(t);
  for (const [flags, expected] of [
    [['--kill-timeout', 'soon'], /^upkeep: --kill-timeout: expected milliseconds.*got "soon"/],
    [['-i', 'some'], /^upkeep: --instances: expected a whole number.*got "some"/],
    [['--cron-restart', 'nightly'], /^upkeep: --cron-restart: expected a cron pattern.*got "nightly"/],
    [['--treekill', 'sideways'], /^upkeep: --treekill: expected true, false or 'main-first', got "sideways"$/m],
    [['--readiness', '{"http":1}'], /^upkeep: --readiness\.http: expected a text, got 1$/m],
    [['--max-restarts', '-4'], /^upkeep: --max-restarts: .*got "-4"/],
    [['--stop-exit-codes', '300'], /expected exit codes of at most 255, got "300"/],
    [['-u', 'no-such-one'], /^upkeep: --user: the system knows no "no-such-one"/],
    [['--stop-exit-codes', 'zero'], /^upkeep: --stop-exit-codes: expected exit codes.*got "zero"/],
  ] as const) {
    const { code, stderr } = await box.fails('start', fixture('idles.js'), ...flags);
    assert.equal(code, 2);
    assert.match(stderr, expected);
  }
  assert.deepEqual(await box.rows(), []);
});

test('a misspelt key of an ecosystem file names the nearest one, and nothing is half started', async (t) => {
  const box = await sandbox(t);
  const apps = [
    { name: 'good', script: fixture('idles.js') },
    { name: 'bad', script: fixture('idles.js'), instnces: 2 },
  ];
  box.write('ecosystem.json', JSON.stringify({ apps }));
  for (const command of ['start', 'reload', 'startOrRestart']) {
    const { code, stderr } = await box.fails(command, 'ecosystem.json');
    assert.equal(code, 2);
    assert.match(stderr, /ecosystem\.json, app "bad": there is no option "instnces"/);
    assert.match(stderr, /next: did you mean instances\?/);
    assert.deepEqual(await box.rows(), []);
  }
});

test('one app of a file that cannot be started keeps all of them from starting', async (t) => {
  const box = await sandbox(t);
  for (const bad of [
    { name: 'bad', script: 'missing.js' },
    { name: 'bad', script: fixture('idles.js'), interpreter: 'nodde' },
    { name: 'bad', script: fixture('idles.js'), kill_timeout: 'soon' },
    { name: 'bad', script: fixture('counter.py'), exec_mode: 'cluster' },
    { name: 'good', script: fixture('port-zero.js') },
    { name: 'bad' },
  ]) {
    const apps = [{ name: 'good', script: fixture('idles.js') }, bad];
    box.write('ecosystem.json', JSON.stringify({ apps }));
    await box.fails('start', 'ecosystem.json');
    assert.deepEqual(await box.rows(), [], JSON.stringify(bad));
  }
});

test('one script of several that cannot be started keeps the others from starting', async (t) => {
  const box = await sandbox(t);
  await box.fails('start', fixture('idles.js'), 'missing.js');
  assert.deepEqual(await box.rows(), []);
});

test('an app that does not exist: the names that do', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', fixture('idles.js'), fixture('logs-signals.js'));
  const before = await box.rows();
  for (const command of ['stop', 'restart', 'reload', 'delete', 'reset', 'describe', 'id', 'pid', 'env', 'flush']) {
    const { code, stderr } = await box.fails(command, 'idle');
    assert.equal(code, 1, command);
    assert.match(stderr, /"idle".*idles, logs-signals/, command);
  }
  assert.match((await box.fails('logs', 'idle', '--nostream')).stderr, /idles, logs-signals/);
  assert.match((await box.fails('sendSignal', 'SIGHUP', 'idle')).stderr, /idles, logs-signals/);
  // Of several targets, one that means nothing keeps the command from touching the others.
  await box.fails('stop', 'idles', 'nobody');
  assert.deepEqual(
    (await box.rows()).map(({ pid, state }) => [pid, state.kind]),
    before.map(({ pid }) => [pid, 'online']),
  );
});

test('with no apps at all, that is said', async (t) => {
  const box = await sandbox(t);
  assert.match((await box.fails('stop', 'web')).stderr, /no app is registered/);
  assert.match((await box.ok('list')).stdout, /No apps yet/);
});

test('a target that is no regular expression', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', fixture('idles.js'));
  const { code, stderr } = await box.fails('stop', '/(/');
  assert.equal(code, 2);
  assert.match(stderr, /\/\(\/ is not a regular expression/);
});

test('a file of apps with a mistake in it is named with the place', async (t) => {
  const box = await sandbox(t);
  box.write('ecosystem.config.js', 'module.exports = {\n  apps: [{ script: "x" ]\n};\n');
  assert.match((await box.fails('start', 'ecosystem.config.js')).stderr, /ecosystem\.config\.js:2[\s\S]*SyntaxError/);
  box.write('broken.json', '{ "apps": [ }');
  assert.match((await box.fails('start', 'broken.json')).stderr, /broken\.json cannot be read/);
  box.write('empty.json', '{}');
  assert.match((await box.fails('start', 'empty.json')).stderr, /empty\.json: expected a list "apps"/);
  assert.match((await box.fails('start', 'missing.json')).stderr, /there is no file .*missing\.json/);
  assert.deepEqual(await box.rows(), []);
});
