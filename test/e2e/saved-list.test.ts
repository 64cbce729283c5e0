import assert from 'node:assert/strict';
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { fixture, type Sandbox, sandbox } from './harness.ts';
import { isAlive } from './processes.ts';
import { until } from './until.ts';

const states = async (box: Sandbox) => (await box.rows()).map(({ id, name, state }) => `${id} ${name} ${state.kind}`);

test('save, kill, resurrect: the list is as it was saved, and nothing is there twice', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', fixture('idles.js'), '--name', 'job');
  await box.ok('start', fixture('http-hello.js'), '--name', 'web', '-i', '2');
  await box.ok('start', fixture('idles.js'), '--name', 'idle');
  await box.ok('stop', 'idle');
  const before = await states(box);
  assert.match((await box.ok('save')).stderr, /saved 3 apps in .*\/dump\.json/);
  assert.equal(statSync(`${box.home}/dump.json`).mode & 0o777, 0o600);
  await box.ok('kill');
  assert.deepEqual(await box.rows(), []);

  assert.match((await box.ok('resurrect')).stderr, /✓ job started[\s\S]*✓ web started \(2 of 2 instances\)/);
  assert.deepEqual(await states(box), before);
  const pids = (await box.rows()).map(({ pid }) => pid);
  assert.match((await box.ok('resurrect')).stderr, /all 3 saved apps are there/);
  assert.deepEqual(
    (await box.rows()).map(({ pid }) => pid),
    pids,
  );

  await box.ok('delete', 'job');
  await box.ok('resurrect');
  assert.deepEqual(await states(box), before);
});

test('an empty list replaces one that is not only by force; cleardump empties it', async (t) => {
  const box = await sandbox(t);
  assert.match((await box.ok('resurrect')).stderr, /nothing is saved/);
  await box.ok('start', fixture('idles.js'), '--name', 'job');
  await box.ok('dump');
  await box.ok('delete', 'all');
  const refused = await box.fails('save');
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /the list is empty; the saved one, of 1, is kept\n {2}next: .*--force/);
  await box.ok('resurrect');
  assert.deepEqual(await states(box), ['0 job online']);
  await box.ok('cleardump');
  await box.ok('delete', 'all');
  assert.match((await box.ok('resurrect')).stderr, /nothing is saved/);
  await box.ok('save', '--force');
});

test('a damaged file is told; what was saved before it comes back', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', fixture('idles.js'), '--name', 'one');
  await box.ok('save');
  await box.ok('start', fixture('idles.js'), '--name', 'two');
  await box.ok('save');
  await box.ok('delete', 'all');
  writeFileSync(`${box.home}/dump.json`, 'torn');
  assert.match((await box.ok('resurrect')).stderr, /dump\.json is damaged.*the generation before it was taken/);
  assert.deepEqual(await states(box), ['0 one online']);
  await box.ok('delete', 'all');
  for (const file of ['dump.json', 'dump.json.1']) writeFileSync(`${box.home}/${file}`, 'torn');
  assert.match((await box.fails('resurrect')).stderr, /dump\.json is damaged.*the one before it is damaged/);
});

test('SIGQUIT of the daemon stops all, and the next command starts it again', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', fixture('logs-signals.js'), '--name', 'job');
  await box.ok('start', fixture('http-hello.js'), '--name', 'web', '-i', '2');
  const before = await states(box);
  const pids = (await box.rows()).map(({ pid }) => pid ?? 0);
  const daemon = await box.daemonPid();
  process.kill(daemon, 'SIGQUIT');
  await until(() => !isAlive(daemon), 'the end of the daemon');
  assert.deepEqual([pids.filter(isAlive), existsSync(`${box.home}/run/daemon.sock`)], [[], false]);
  await until(() => box.supervisors().length === 0, 'the end of the supervisors');
  assert.match(box.log('job-out.log'), /got SIGINT/);
  assert.deepEqual(await states(box), before);
});
