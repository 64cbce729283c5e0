import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fixture, type Sandbox, sandbox } from './harness.ts';
import { isAlive } from './processes.ts';
import { differentAnswers, get, startLoad } from './requests.ts';
import { sorted } from './sorted.ts';
import { until } from './until.ts';

/** A folder of releases, of which `current` points to one, as deploy tools lay them out. */
function release(box: Sandbox, name: string, text: string): void {
  mkdirSync(join(box.cwd, 'releases', name), { recursive: true });
  box.write(`releases/${name}/app.js`, text);
  rmSync(join(box.cwd, 'next'), { force: true });
  symlinkSync(join(box.cwd, 'releases', name), join(box.cwd, 'next'));
  renameSync(join(box.cwd, 'next'), join(box.cwd, 'current'));
}

const serves = (says: string): string =>
  `require('node:http').createServer((request, response) => response.end('${says} ' + process.cwd())).listen(process.env.PORT)`;

// `apply` passes on only what is declared.
const app = (more: object = {}): object => ({
  name: 'web',
  cwd: 'current',
  script: 'app.js',
  pass_env: ['PORT', 'SANDBOX'],
  ...more,
});

function file(box: Sandbox, ...apps: object[]): void {
  box.write('apps.json', JSON.stringify({ apps }));
}

const says = async (box: Sandbox): Promise<string> => (await get(box.port)).body;
const pids = async (box: Sandbox, name: string): Promise<readonly (number | null)[]> =>
  (await box.app(name)).map(({ pid }) => pid);

test('reload follows a link that was moved, a crash does not', async (t) => {
  const box = await sandbox(t);
  release(box, '1', serves('one'));
  file(box, app({ instances: 1 }));
  await box.ok('start', 'apps.json');
  const [before] = await box.app('web');
  release(box, '2', serves('two'));
  process.kill(before?.pid ?? 0, 'SIGKILL');
  await until(async () => (await box.app('web'))[0]?.restarts === 1, 'the restart');
  assert.equal(await says(box), `one ${box.cwd}/releases/1`);
  await box.ok('reload', 'web');
  assert.equal(await says(box), `two ${box.cwd}/releases/2`);
});

test('rollback goes back to the release and the spec that served before, and forward again', async (t) => {
  const box = await sandbox(t);
  release(box, '1', serves('one'));
  file(box, app({ instances: 2 }));
  await box.ok('start', 'apps.json');
  assert.match((await box.fails('rollback', 'web')).stderr, /web has nothing to go back to/);
  release(box, '2', serves('two'));
  await box.ok('reload', 'web');
  release(box, '3', "throw new Error('no database')");
  assert.match((await box.fails('reload', 'web')).stderr, /no database/);
  assert.match(await says(box), /^two/);
  const refused = await box.fails('rollback', 'web');
  assert.match(refused.stderr, /the last change of web failed.* still does\n {2}next: `upkeep rollback web --force`/);
  assert.match(await says(box), /^two/);
  const load = startLoad(t, box.port);
  const back = await box.ok('rollback', 'web', '--force');
  const where = `${box.cwd}/current still leads to ${box.cwd}/releases/3`;
  assert.ok(back.stderr.includes(`${where}: the next restart or reload of web goes there\n`), back.stderr);
  assert.match(await says(box), /^one/);
  await box.ok('rollback', 'web');
  assert.match(await says(box), /^two/);
  assert.deepEqual((await load.stop()).failures, []);
  rmSync(join(box.cwd, 'releases', '1'), { recursive: true });
  assert.match((await box.fails('rollback', 'web')).stderr, /releases\/1 before, which is gone/);
});

test('rollback of a fork-mode app whose last reload failed goes back to what served before that', async (t) => {
  const box = await sandbox(t);
  release(box, '1', serves('one'));
  file(box, app());
  await box.ok('start', 'apps.json');
  release(box, '2', serves('two'));
  await box.ok('reload', 'web');
  release(box, '3', 'process.exit(3)');
  await box.fails('reload', 'web');
  assert.match((await box.ok('describe', 'web')).stdout, /release .*\/releases\/3\//);
  await box.ok('rollback', 'web');
  assert.match(await says(box), /^two/);
  await box.ok('rollback', 'web');
  assert.match(await says(box), /^one/);
});

test('a restart or reload into a release that is not there is refused, and what runs goes on', async (t) => {
  const box = await sandbox(t);
  release(box, '1', serves('one'));
  file(box, app({ instances: 2 }));
  await box.ok('start', 'apps.json');
  const before = await pids(box, 'web');
  release(box, '2', serves('two'));
  rmSync(join(box.cwd, 'releases', '2'), { recursive: true });
  for (const command of ['restart', 'reload'])
    assert.match(
      (await box.fails(command, 'web')).stderr,
      /its working directory is not there: .*\/current leads to .*\/releases\/2\n {2}next: what runs goes on/,
    );
  mkdirSync(join(box.cwd, 'releases', '2'));
  assert.match(
    (await box.fails('restart', 'web')).stderr,
    /its script is not there: .*\/current\/app\.js, where .*\/current leads to .*\/releases\/2/,
  );
  assert.deepEqual(await pids(box, 'web'), before);
  assert.match(await says(box), /^one/);
});

test('a restart of a program that may not be executed any more is refused, and what runs goes on', async (t) => {
  const box = await sandbox(t);
  const program = box.write('job', '#!/bin/sh\nexec sleep 1000\n');
  chmodSync(program, 0o755);
  await box.ok('start', program);
  const before = await pids(box, 'job');
  chmodSync(program, 0o644);
  for (const command of ['restart', 'reload']) {
    const { stderr } = await box.fails(command, 'job');
    assert.match(stderr, /its script is not executable: .*\/job\n {2}next: what runs goes on; chmod \+x .*\/job/);
  }
  assert.deepEqual(await pids(box, 'job'), before);
  chmodSync(program, 0o755);
  await box.ok('restart', 'job');
});

test('rollback of a cluster whose restart failed goes back to what served, with the secrets that it had', async (t) => {
  const box = await sandbox(t);
  release(box, '1', serves('one'));
  file(box, app({ instances: 2, env: { SECRET: 'hidden' } }));
  await box.ok('apply', 'apps.json');
  release(box, '2', "throw new Error('no database')");
  await box.fails('restart', 'web');
  assert.doesNotMatch((await box.ok('describe', 'web', '--json')).stdout, /hidden/);
  release(box, '1', serves('one'));
  assert.doesNotMatch((await box.ok('rollback', 'web')).stderr, /still leads/);
  assert.match(await says(box), /^one/);
});

test('rollback after a reload that failed half way takes back what is new, whoever is the daemon', async (t) => {
  const box = await sandbox(t);
  release(box, '1', serves('one'));
  file(box, app({ instances: 3 }));
  await box.ok('start', 'apps.json');
  const started = join(box.cwd, 'started');
  const counts = `require('node:fs').appendFileSync(${JSON.stringify(started)}, '.');
    if (require('node:fs').statSync(${JSON.stringify(started)}).size > 1) throw new Error('the second is one too many');`;
  release(box, '2', counts + serves('two'));
  const { stderr } = await box.fails('reload', 'web');
  assert.match(stderr, /the second is one too many/);
  assert.match(stderr, /next: new and old serve on: `upkeep rollback web` takes back what is new/);
  const both = await differentAnswers(box.port, 2);
  assert.deepEqual(sorted([...both]), [`one ${box.cwd}/releases/1`, `two ${box.cwd}/releases/2`]);
  process.kill(await box.daemonPid(), 'SIGKILL');
  const load = startLoad(t, box.port);
  await box.ok('rollback', 'web');
  assert.deepEqual((await load.stop()).failures, []);
  assert.deepEqual([...(await differentAnswers(box.port, 2, 100))], [`one ${box.cwd}/releases/1`]);
  assert.match((await box.fails('rollback', 'web')).stderr, /web has nothing to go back to/);
});

test('apply does what plan shows, and touches nothing else', async (t) => {
  const box = await sandbox(t);
  const idle = { script: fixture('idles.js'), pass_env: ['SANDBOX'] };
  const [one, two, three] = ['one', 'two', 'three'].map((name) => ({ ...idle, name }));
  release(box, '1', serves('one'));
  file(box, app({ instances: 2, env: { A: '1', B: '2' } }), { ...one }, { ...two, instances: 1 }, { ...three });
  await box.ok('start', fixture('idles.js'), '--name', 'stranger');
  assert.match((await box.ok('plan', 'apps.json')).stdout, /\+ create web, 2 instances\n\+ create one, 1 instance/);
  await box.ok('apply', 'apps.json');
  assert.doesNotMatch((await box.ok('plan', 'apps.json')).stdout, /^[+~-]/m);
  const before = { web: await pids(box, 'web'), one: await pids(box, 'one'), two: await pids(box, 'two') };

  file(box, app({ instances: 2, env: { A: '3', C: '4' } }), { ...one }, { ...two, instances: 3 });
  const { stdout } = await box.ok('plan', 'apps.json');
  assert.match(stdout, /^~ change web\n {4}env: \+C ~A -B$/m);
  assert.match(stdout, /^ {2}one is as it should be\n~ scale two: 1 -> 3 instances\n- remove three, 1 instance$/m);
  assert.doesNotMatch(stdout, /stranger/);
  assert.deepEqual(await pids(box, 'web'), before.web);

  const load = startLoad(t, box.port);
  assert.match((await box.ok('apply', 'apps.json')).stderr, /✓ three removed/);
  assert.deepEqual((await load.stop()).failures, []);
  const [id] = (await box.app('web')).map((row) => row.id);
  const env = (await box.ok('env', String(id))).stdout.split('\n');
  assert.ok(env.includes('A=3') && env.includes('C=4') && !env.some((line) => line.startsWith('B=')));
  assert.deepEqual(await pids(box, 'one'), before.one);
  assert.deepEqual((await pids(box, 'two')).slice(0, 1), before.two);
  for (const pid of before.web) assert.equal(isAlive(pid ?? 0), false);
  assert.deepEqual(
    sorted((await box.rows()).map(({ name }) => name)),
    sorted(['web', 'web', 'one', 'two', 'two', 'two', 'stranger']),
  );
});

test('apply starts what is down, and leaves the rest alone', async (t) => {
  const box = await sandbox(t);
  const idle = { script: fixture('idles.js'), pass_env: ['SANDBOX'] };
  box.write('flaky.js', "if (!require('node:fs').existsSync('fixed')) process.exit(5); setInterval(() => {}, 1000);");
  file(box, { ...idle, name: 'idle' }, { ...idle, name: 'flaky', script: 'flaky.js', max_restarts: 1 });
  assert.match((await box.fails('apply', 'apps.json')).stderr, /✗ flaky/);
  await box.ok('stop', 'idle');
  const { stdout } = await box.ok('plan', 'apps.json');
  assert.match(stdout, /^\+ start idle \(stopped by command\)\n\+ start flaky \(errored: .*code 5\)$/m);
  assert.match((await box.fails('apply', 'apps.json')).stderr, /✗ flaky .*code 5[^]*✓ idle|✓ idle[^]*✗ flaky .*code 5/);
  box.write('fixed', '');
  const [{ pid } = { pid: null }] = await box.app('idle');
  await box.ok('apply', 'apps.json');
  assert.deepEqual(await pids(box, 'idle'), [pid]);
  assert.equal((await box.app('flaky'))[0]?.state.kind, 'online');
  assert.doesNotMatch((await box.ok('plan', 'apps.json')).stdout, /^[+~-]/m);
});

test('while an apply reloads, the same one is refused, and so is a start of its file', async (t) => {
  const box = await sandbox(t);
  const gate = box.write('gate', '');
  const web = (build: string): object => ({
    name: 'web',
    script: fixture('ready-when-file.js'),
    instances: 2,
    wait_ready: true,
    listen_timeout: 30_000,
    env: { GATE: gate, BUILD: build },
    pass_env: ['PORT', 'SANDBOX'],
  });
  file(box, web('1'));
  await box.ok('apply', 'apps.json');
  const before = await pids(box, 'web');
  rmSync(gate);
  file(box, web('2'));
  const first = box.upkeep('apply', 'apps.json');
  await box.logged('web-out-0.log', /waits[^]*waits/);
  assert.match((await box.ok('plan', 'apps.json')).stdout, /^! a reload of web is running$/m);
  for (const command of ['apply', 'start'])
    assert.match((await box.fails(command, 'apps.json')).stderr, /✗ web .*a reload of web is running/, command);
  assert.deepEqual(await pids(box, 'web'), before);
  box.write('gate', '');
  const { code, stderr } = await first;
  assert.equal(code, 0, stderr);
  assert.match((await box.ok('apply', 'apps.json')).stderr, /web is as it should be/);
});

test('what apply starts has the environment that is declared, and no more', async (t) => {
  const box = await sandbox(t);
  box.env['PASSED_ON'] = 'yes';
  box.env['NOT_PASSED_ON'] = 'no';
  file(box, { name: 'idle', script: fixture('idles.js'), env: { A: '1' }, pass_env: ['PASSED_*', 'SANDBOX'] });
  await box.ok('apply', 'apps.json');
  const env = (await box.ok('env', 'idle')).stdout;
  assert.match(env, /^A=1$/m);
  assert.match(env, /^PASSED_ON=yes$/m);
  assert.match(env, /^PATH=/m);
  assert.doesNotMatch(env, /NOT_PASSED_ON/);
});

test('an apply of which one app fails brings the others in, and fails', async (t) => {
  const box = await sandbox(t);
  release(box, '1', serves('one'));
  file(box, app({ instances: 2 }), { name: 'idle', script: fixture('idles.js'), pass_env: ['SANDBOX'] });
  await box.ok('apply', 'apps.json');
  release(box, '2', 'process.exit(3)');
  file(box, app({ instances: 2 }), {
    name: 'idle',
    script: fixture('idles.js'),
    pass_env: ['SANDBOX'],
    env: { A: '1' },
  });
  const { stderr } = await box.fails('apply', 'apps.json');
  assert.match(stderr, /✗ web .*code 3/);
  assert.match(stderr, /✓ idle applied/);
  assert.match(await says(box), /^one/);
});

test('a canary that falls over in its time leaves the old ones as they are', async (t) => {
  const box = await sandbox(t);
  release(box, '1', serves('one'));
  file(box, app({ instances: 2 }));
  await box.ok('start', 'apps.json');
  const before = await pids(box, 'web');
  release(box, '2', `${serves('two')}; setTimeout(() => { throw new Error('out of luck'); }, 300)`);
  assert.match((await box.fails('reload', 'web', '--canary', '20s')).stderr, /out of luck/);
  assert.deepEqual(await pids(box, 'web'), before);
  release(box, '3', serves('three'));
  await box.ok('reload', 'web', '--canary', '500ms');
  assert.match(await says(box), /^three/);
  assert.match((await box.fails('reload', 'web', '--canary=soon')).stderr, /--canary: expected milliseconds/);
  assert.match((await box.fails('reload', '--canary', 'nope')).stderr, /no app, namespace or id matches "nope"/);
});

test('a canary is in sight while it is watched', async (t) => {
  const box = await sandbox(t);
  release(box, '1', serves('one'));
  file(box, app({ instances: 2 }));
  await box.ok('start', 'apps.json');
  const reload = box.run(['reload', 'web', '--canary', '10m']);
  await until(async () => (await box.rows())[0]?.successor?.stage === 'canary', 'the canary');
  const pid = (await box.rows())[0]?.successor?.pid;
  assert.match((await box.ok('list')).stdout, /online \(\+1 canary\)/);
  assert.match((await box.ok('describe', 'web')).stdout, new RegExp(`new one +canary, pid ${pid}\\n`));
  const [listed] = JSON.parse((await box.ok('jlist')).stdout);
  assert.deepEqual(listed.pm2_env.successor, { pid, stage: 'canary' });
  await box.ok('stop', 'web');
  assert.notEqual((await reload).code, 0);
});

test('min_ready holds each new one to it, max_unavailable lets old ones go first', async (t) => {
  const box = await sandbox(t);
  release(box, '1', serves('one'));
  file(box, app({ instances: 2, min_ready: '20s' }));
  await box.ok('start', 'apps.json');
  const before = await pids(box, 'web');
  release(box, '2', `${serves('two')}; setTimeout(() => process.exit(4), 200)`);
  assert.match((await box.fails('reload', 'web')).stderr, /code 4/);
  assert.deepEqual(await pids(box, 'web'), before);

  release(box, '3', serves('three'));
  file(box, app({ instances: 3, max_unavailable: 2 }));
  const load = startLoad(t, box.port);
  await box.ok('reload', 'apps.json');
  assert.deepEqual((await load.stop()).failures, []);
  assert.match(await says(box), /^three/);
  assert.equal((await box.app('web')).length, 3);
});
