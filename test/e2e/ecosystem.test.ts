import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fixture, type Sandbox, sandbox } from './harness.ts';
import { get } from './requests.ts';

const IDLES = fixture('idles.js');

async function summary(box: Sandbox): Promise<unknown[]> {
  return (await box.rows()).map(({ name, mode, state }) => [name, mode, state.kind]);
}

for (const [file, text] of [
  [
    'ecosystem.config.js',
    `module.exports = { apps: [{ name: 'one', script: '${IDLES}' }, { name: 'two', script: '${IDLES}' }] };`,
  ],
  [
    'ecosystem.config.cjs',
    `module.exports = { apps: [{ name: 'one', script: '${IDLES}' }, { name: 'two', script: '${IDLES}' }] };`,
  ],
  [
    'my.config.mjs',
    `export default { apps: [{ name: 'one', script: '${IDLES}' }, { name: 'two', script: '${IDLES}' }] };`,
  ],
  [
    'apps.json',
    JSON.stringify({
      apps: [
        { name: 'one', script: IDLES },
        { name: 'two', script: IDLES },
      ],
    }),
  ],
  [
    'list.json',
    JSON.stringify([
      { name: 'one', script: IDLES },
      { name: 'two', script: IDLES },
    ]),
  ],
  ['apps.yaml', `apps:\n  - name: one\n    script: ${IDLES}\n  - name: two\n    script: ${IDLES}\n`],
  ['apps.yml', `apps:\n  - { name: one, script: ${IDLES} }\n  - { name: two, script: ${IDLES} }\n`],
] as const) {
  test(`${file} is started, and names its apps for the other commands`, async (t) => {
    const box = await sandbox(t);
    box.write(file, text);
    await box.ok('start', file);
    assert.deepEqual(await summary(box), [
      ['one', 'fork', 'online'],
      ['two', 'fork', 'online'],
    ]);
    await box.ok('stop', file);
    assert.deepEqual(await summary(box), [
      ['one', 'fork', 'stopped'],
      ['two', 'fork', 'stopped'],
    ]);
    await box.ok('restart', file);
    await box.ok('reload', file);
    assert.deepEqual(await summary(box), [
      ['one', 'fork', 'online'],
      ['two', 'fork', 'online'],
    ]);
    await box.ok('delete', file);
    assert.deepEqual(await box.rows(), []);
  });
}

test('a file of one app, and apps from stdin', async (t) => {
  const box = await sandbox(t);
  box.write('one.json', JSON.stringify({ name: 'one', script: IDLES }));
  await box.ok('start', 'one.json');
  const stdin = JSON.stringify({ apps: [{ name: 'two', script: IDLES }] });
  const { code, stderr } = await box.run(['start', '-'], { stdin });
  assert.equal(code, 0, stderr);
  assert.deepEqual(await summary(box), [
    ['one', 'fork', 'online'],
    ['two', 'fork', 'online'],
  ]);
  const bad = await box.run(['start', '-'], { stdin: '{ "apps": ' });
  assert.notEqual(bad.code, 0);
  assert.match(bad.stderr, /stdin cannot be read/);
});

test('relative paths start at the folder of the file', async (t) => {
  const box = await sandbox(t);
  box.write('deploy/src/app.js', "console.log('in', process.cwd()); setInterval(() => {}, 60_000);");
  box.write(
    'deploy/ecosystem.config.js',
    "module.exports = { apps: [{ name: 'app', script: 'src/app.js', out_file: 'logs/out.log' }] };",
  );
  await box.ok('start', 'deploy/ecosystem.config.js');
  const { app, instances } = await box.describe('app');
  assert.equal(app.spec.program.script, `${box.cwd}/deploy/src/app.js`);
  assert.equal(instances[0]?.logs.out, `${box.cwd}/deploy/logs/out.log`);
});

test('env, env_production with --env, and what beats what', async (t) => {
  const box = await sandbox(t);
  box.env['SAYS'] = 'shell';
  const app = { name: 'web', script: fixture('http-hello.js'), env_production: { SAYS: 'production' } };
  const says = async () => (JSON.parse((await get(box.port)).body) as { says: string }).says;
  box.write('shell.json', JSON.stringify(app));
  await box.ok('start', 'shell.json');
  assert.equal(await says(), 'shell');
  box.write('web.json', JSON.stringify({ ...app, env: { SAYS: 'file', NUMBER: 3, OBJECT: { a: 1 } } }));
  await box.ok('restart', 'web.json');
  assert.equal(await says(), 'file');
  assert.match((await box.ok('env', '0')).stdout, /^NUMBER=3$[\s\S]*^OBJECT=\{"a":1\}$/m);
  await box.ok('reload', 'web.json', '--env', 'production');
  assert.equal(await says(), 'production');
  const { stderr } = await box.ok('restart', 'web.json', '--env', 'produktion');
  assert.match(stderr, /no app of the file has env_produktion/);
  assert.equal(await says(), 'file');
});

test('--only starts some of them', async (t) => {
  const box = await sandbox(t);
  const apps = ['one', 'two', 'three'].map((name) => ({ name, script: IDLES }));
  box.write('apps.json', JSON.stringify({ apps }));
  await box.ok('start', 'apps.json', '--only', 'one, three');
  assert.deepEqual(
    (await box.rows()).map(({ name }) => name),
    ['one', 'three'],
  );
  const { stderr } = await box.fails('start', 'apps.json', '--only', 'four');
  assert.match(stderr, /the file has no app "four"[\s\S]*one, two, three/);
  await box.ok('delete', 'apps.json', '--only', 'one');
  assert.deepEqual(
    (await box.rows()).map(({ name }) => name),
    ['three'],
  );
});

test('options in camelCase, under other names, and in the forms of other files', async (t) => {
  const box = await sandbox(t);
  const app = {
    name: 7,
    exec: IDLES,
    instances: '2',
    execMode: 'cluster_mode',
    args: 'one "two three"',
    node_args: '--no-warnings --stack-size=900',
    kill_timeout: '3s',
    listenTimeout: 200,
    minUptime: '10s',
    stop_exit_codes: [0, 143],
    max_restarts: '5',
    autorestart: true,
  };
  box.write('apps.json', JSON.stringify({ apps: [app] }));
  await box.ok('start', 'apps.json');
  const { spec } = (await box.describe('7')).app;
  assert.deepEqual(
    {
      mode: spec.mode,
      instances: spec.instances,
      args: spec.program.args,
      nodeArgs: spec.program.interpreterArgs,
      stop: spec.stop.killTimeoutMs,
      listen: spec.ready.listenTimeoutMs,
      restart: [spec.restart.minUptimeMs, spec.restart.stopExitCodes, spec.restart.maxRestarts],
    },
    {
      mode: 'cluster',
      instances: 2,
      args: ['one', 'two three'],
      nodeArgs: ['--no-warnings', '--stack-size=900'],
      stop: 3000,
      listen: 200,
      restart: [10_000, [0, 143], 5],
    },
  );
});

test('a file that changed is brought in by restart and reload: instances, script and mode', async (t) => {
  const box = await sandbox(t);
  const script = fixture('http-hello.js');
  const write = (app: object) => box.write('web.json', JSON.stringify({ apps: [{ name: 'web', script, ...app }] }));
  write({ instances: 2 });
  await box.ok('start', 'web.json');
  const before = await box.rows();
  write({ instances: 3, env: { SAYS: 'three' } });
  await box.ok('reload', 'web.json');
  assert.deepEqual(
    (await box.rows()).map(({ id, mode, state }) => [id, mode, state.kind]),
    [0, 1, 2].map((id) => [id, 'cluster', 'online']),
  );
  assert.match((await get(box.port)).body, /"three"/);
  write({ instances: 1 });
  await box.ok('restart', 'web.json');
  assert.deepEqual(
    (await box.rows()).map(({ id, state }) => [id, state.kind]),
    [[before[0]?.id, 'online']],
  );
  write({ exec_mode: 'fork' });
  await box.ok('restart', 'web.json');
  assert.deepEqual(await summary(box), [['web', 'fork', 'online']]);
  assert.equal((await get(box.port)).status, 200);
});

test('a reload of a file whose new script is broken keeps the old one, also as what is wanted', async (t) => {
  const box = await sandbox(t);
  const write = (script: string) => box.write('web.json', JSON.stringify({ name: 'web', script, instances: 2 }));
  write(fixture('http-hello.js'));
  await box.ok('start', 'web.json');
  const before = await box.rows();
  write(fixture('throws-at-start.js'));
  const { stderr } = await box.fails('reload', 'web.json');
  assert.match(stderr, /the database password is missing/);
  assert.deepEqual(
    (await box.rows()).map(({ pid, state }) => [pid, state.kind]),
    before.map(({ pid }) => [pid, 'online']),
  );
  await box.ok('restart', 'web');
  assert.equal((await get(box.port)).status, 200);
});

test('startOrRestart and startOrReload start what is not there, and change what is', async (t) => {
  const box = await sandbox(t);
  const apps = [{ name: 'web', script: fixture('http-hello.js'), instances: 2 }];
  box.write('one.json', JSON.stringify({ apps }));
  box.write('two.json', JSON.stringify({ apps: [...apps, { name: 'job', script: IDLES }] }));
  await box.ok('startOrReload', 'one.json');
  const first = await box.rows();
  await box.ok('startOrReload', 'two.json');
  const second = await box.rows();
  assert.deepEqual(
    second.map(({ name, state, restarts }) => [name, state.kind, restarts]),
    [
      ['web', 'online', 1],
      ['web', 'online', 1],
      ['job', 'online', 0],
    ],
  );
  assert.ok(second.every(({ pid }) => !first.some((row) => row.pid === pid)));
  await box.ok('startOrRestart', 'two.json');
  assert.ok((await box.rows()).every(({ state }) => state.kind === 'online'));
  assert.match((await box.fails('startOrRestart', 'web')).stderr, /expected an ecosystem file, got "web"/);
});

test('options that are not there yet are named, and do no harm', async (t) => {
  const box = await sandbox(t);
  box.write('apps.json', JSON.stringify({ apps: [{ name: 'one', script: IDLES, watch: true, vizion: false }] }));
  const { stderr } = await box.ok('start', 'apps.json');
  assert.match(stderr, /watch is not supported yet/);
  assert.doesNotMatch(stderr, /vizion/);
});
