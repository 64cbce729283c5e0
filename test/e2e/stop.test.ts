import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fixture, sandbox } from './harness.ts';
import { isAlive } from './processes.ts';
import { get } from './requests.ts';

const childPids = (log: string): number[] => [...log.matchAll(/child (\d+)/g)].map((match) => Number(match[1]));

for (const [mode, flags] of [
  ['fork', []],
  ['cluster', ['-i', '2']],
] as const) {
  test(`${mode} mode: the processes end, the app stays in the list, its port is free`, async (t) => {
    const box = await sandbox(t);
    await box.ok('start', fixture('http-hello.js'), '--name', 'web', ...flags);
    const before = await box.app('web');
    await box.ok('stop', 'web');
    assert.ok((await box.app('web')).every(({ state, pid }) => state.kind === 'stopped' && pid === null));
    for (const { pid } of before) assert.equal(isAlive(pid ?? 0), false);
    await assert.rejects(get(box.port), { code: 'ECONNREFUSED' });
    // What is stopped already is stopped.
    await box.ok('stop', 'web');
  });
}

test('an app that handles SIGINT finishes by itself', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', fixture('handles-sigint.js'), '--name', 'fork');
  await box.ok('stop', 'fork');
  assert.match(await box.logged('fork-out.log', 'server closed'), /got SIGINT\nserver closed\n/);
  await box.ok('start', fixture('handles-sigint.js'), '--name', 'cluster', '-i', '1');
  await box.ok('stop', 'cluster');
  assert.match(await box.logged('cluster-out-1.log', 'server closed'), /got SIGINT\nserver closed\n/);
});

test('a request that is under way is answered before a worker goes', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', fixture('http-slow-answers.js'), '--name', 'slow', '-i', '1');
  const answer = get({ port: box.port, path: '/last' });
  await box.logged('slow-out-0.log', 'asked /last');
  await box.ok('stop', 'slow');
  assert.equal((await answer).status, 200);
});

test('--kill-signal is the one that is sent', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', fixture('logs-signals.js'), '--name', 'app', '--kill-signal', 'SIGTERM');
  await box.ok('stop', 'app');
  assert.equal(box.log('app-out.log'), 'running\ngot SIGTERM\n');
});

for (const [mode, flags] of [
  ['fork', []],
  ['cluster', ['-i', '1', '--listen-timeout', '200']],
] as const) {
  test(`${mode} mode: what ignores the signal is killed after kill_timeout, with its whole tree`, async (t) => {
    const box = await sandbox(t);
    const script = fixture('ignores-sigint-with-child.js');
    await box.ok('start', script, '--name', 'stubborn', '--kill-timeout', '300', ...flags);
    const log = mode === 'fork' ? 'stubborn-out.log' : 'stubborn-out-0.log';
    const [child = 0] = childPids(await box.logged(log, /child \d+/));
    const [before] = await box.rows();
    assert.ok(isAlive(child));
    await box.ok('stop', 'stubborn');
    assert.equal(isAlive(before?.pid ?? 0), false);
    assert.equal(isAlive(child), false, 'the child was left');
    const [row] = await box.rows();
    assert.equal(row?.lastExit?.signal, 'SIGKILL');
    assert.match(row?.lastExit?.reason ?? '', /killed after 300 ms/);
  });
}

test('jobs that a shell script left in the background end with it', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', fixture('forks-children.sh'), '--name', 'jobs', '--kill-timeout', '500');
  const children = childPids(await box.logged('jobs-out.log', /(child \d+\n){3}/));
  assert.equal(children.length, 3);
  assert.ok(children.every(isAlive));
  await box.ok('stop', 'jobs');
  assert.deepEqual(children.filter(isAlive), []);
});

test('--no-treekill leaves the children to themselves', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', fixture('leaves-child.js'), '--name', 'parent', '--no-treekill');
  const [child = 0] = childPids(await box.logged('parent-out.log', /child \d+/));
  const [before] = await box.rows();
  await box.ok('stop', 'parent');
  const childLived = isAlive(child);
  process.kill(child, 'SIGKILL');
  assert.equal(isAlive(before?.pid ?? 0), false);
  assert.ok(childLived, 'the child was killed');
});

test('without it, a child in a session of its own ends too', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', fixture('leaves-child.js'), '--name', 'parent');
  const [child = 0] = childPids(await box.logged('parent-out.log', /child \d+/));
  await box.ok('stop', 'parent');
  assert.equal(isAlive(child), false);
});

test('an app that waits for its restart is stopped at once', async (t) => {
  const box = await sandbox(t);
  await box.fails('start', fixture('throws-at-start.js'), '--name', 'broken', '--restart-delay', '60000');
  assert.equal((await box.rows())[0]?.state.kind, 'backoff');
  await box.ok('stop', 'broken');
  assert.equal((await box.rows())[0]?.state.kind, 'stopped');
});

test('kill stops everything and ends the daemon', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', fixture('idles.js'), '--name', 'one');
  await box.ok('start', fixture('port-zero.js'), '--name', 'two', '-i', '2');
  const pids = (await box.rows()).map(({ pid }) => pid ?? 0);
  const daemon = await box.daemonPid();
  const { stderr } = await box.ok('kill');
  assert.match(stderr, /stopped 3 processes/);
  assert.deepEqual(pids.filter(isAlive), []);
  assert.match((await box.fails('ping')).stderr, /no daemon runs/);
  assert.deepEqual(await box.rows(), [], 'nothing comes back');
  assert.notEqual(await box.daemonPid(), daemon);
});
