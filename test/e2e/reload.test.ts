import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { test } from 'node:test';
import { fixture, sandbox } from './harness.ts';
import { isAlive } from './processes.ts';
import { differentAnswers, get, startLoad } from './requests.ts';
import { sorted } from './sorted.ts';
import { until } from './until.ts';

/** A bare server whose text is edited between reloads. */
function server(says: string): string {
  return [
    "const http = require('node:http');",
    `const server = http.createServer((request, response) => response.end('${says} ' + process.pid));`,
    "server.listen(Number(process.env.PORT), '127.0.0.1');",
  ].join('\n');
}

test('four workers, three more, then new text: every request is answered, by each of the workers', async (t) => {
  const box = await sandbox(t);
  box.write('app.js', server('old'));
  await box.ok('start', 'app.js', '-i', '4');
  const load = startLoad(t, box.port);
  await box.ok('scale', 'app', '+3');
  assert.equal((await differentAnswers(box.port, 7)).size, 7);
  const before = await box.app('app');

  box.write('app.js', server('new'));
  await box.ok('reload', 'app');
  const after = await box.app('app');
  assert.deepEqual(
    after.map(({ id, state, restarts }) => [id, state.kind, restarts]),
    before.map(({ id }) => [id, 'online', 1]),
  );
  for (const { pid } of before) assert.equal(isAlive(pid ?? 0), false);
  const answers = await differentAnswers(box.port, 7);
  assert.deepEqual(sorted(answers), sorted(after.map(({ pid }) => `new ${pid}`)));

  const { failures, bodies } = await load.stop();
  assert.deepEqual(failures, []);
  assert.match(bodies[0] ?? '', /^old/);
  assert.match(bodies.at(-1) ?? '', /^new/);
});

test('gracefulReload does the same', async (t) => {
  const box = await sandbox(t);
  box.write('app.js', server('old'));
  await box.ok('start', 'app.js', '-i', '2');
  const load = startLoad(t, box.port);
  box.write('app.js', server('new'));
  await box.ok('gracefulReload', 'app');
  assert.match((await get(box.port)).body, /^new/);
  assert.deepEqual((await load.stop()).failures, []);
});

test('requests that are under way are answered by the worker that took them', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', fixture('http-slow-answers.js'), '--name', 'slow', '-i', '1');
  const [before] = await box.rows();
  const answer = get({ port: box.port, path: '/under-way' });
  await box.logged('slow-out-0.log', 'asked /under-way');
  await box.ok('reload', 'slow');
  assert.deepEqual((await answer).body, `slow ${before?.pid}`);
  const [after] = await box.rows();
  assert.notEqual(after?.pid, before?.pid);
  assert.equal((await get(box.port)).body, `slow ${after?.pid}`);
});

test('reload after reload under load loses nothing', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', fixture('http-hello.js'), '--name', 'web', '-i', '2');
  const load = startLoad(t, box.port);
  for (let round = 1; round <= 3; round++) {
    await box.ok('reload', 'web');
    assert.deepEqual(
      (await box.app('web')).map(({ restarts }) => restarts),
      [round, round],
    );
  }
  assert.deepEqual((await load.stop()).failures, []);
});

for (const [what, text, expected] of [
  ['that does not parse', 'const http = ;', /SyntaxError/],
  ['that throws', "throw new Error('no database')", /no database/],
  ['that ends with code 0', "console.error('nothing to do'); process.exit(0)", /code 0[\s\S]*nothing to do/],
  ['that exits non-zero', "console.error('cannot go on'); process.exit(3)", /code 3[\s\S]*cannot go on/],
] as const) {
  test(`a build ${what} never replaces a good one`, async (t) => {
    const box = await sandbox(t);
    box.write('app.js', server('good'));
    await box.ok('start', 'app.js', '-i', '2');
    const before = await box.app('app');
    const load = startLoad(t, box.port);
    box.write('app.js', text);
    const { stderr } = await box.fails('reload', 'app');
    assert.match(stderr, expected);
    assert.match(stderr, /✗ app/);
    assert.match(stderr, /next: /);
    assert.deepEqual(
      (await box.app('app')).map(({ id, pid, state, restarts }) => [id, pid, state.kind, restarts]),
      before.map(({ id, pid }) => [id, pid, 'online', 0]),
    );
    const { failures, bodies } = await load.stop();
    assert.deepEqual(failures, []);
    assert.ok(bodies.every((body) => body.startsWith('good')));

    // The next good one does.
    box.write('app.js', server('better'));
    await box.ok('reload', 'app');
    assert.match((await get(box.port)).body, /^better/);
  });
}

test('a build that never says ready does not replace one that did', async (t) => {
  const box = await sandbox(t);
  const gate = box.write('gate', '');
  box.env['GATE'] = gate;
  const flags = ['--name', 'web', '-i', '2', '--wait-ready', '--listen-timeout', '1000'];
  await box.ok('start', fixture('ready-when-file.js'), ...flags);
  const before = await box.app('web');
  rmSync(gate);
  const { stderr } = await box.fails('reload', 'web');
  assert.match(stderr, /did not send 'ready' within 1000 ms/);
  assert.deepEqual(
    (await box.app('web')).map(({ pid, state }) => [pid, state.kind]),
    before.map(({ pid }) => [pid, 'online']),
  );
});

test('a new worker serves before its old one goes', async (t) => {
  const box = await sandbox(t);
  const gate = box.write('gate', '');
  box.env['GATE'] = gate;
  await box.ok('start', fixture('ready-when-file.js'), '--name', 'web', '-i', '1', '--wait-ready');
  const [before] = await box.rows();
  await box.ok('reload', 'web');
  const [after] = await box.rows();
  const lines = (await box.logged('web-out-0.log', `ready ${after?.pid}`)).trim().split('\n');
  assert.deepEqual(lines, [
    `waits ${before?.pid}`,
    `ready ${before?.pid}`,
    `waits ${after?.pid}`,
    `ready ${after?.pid}`,
  ]);
});

test('a second reload is told that one runs; a stop calls it off', async (t) => {
  const box = await sandbox(t);
  const gate = box.write('gate', '');
  box.env['GATE'] = gate;
  const flags = ['--name', 'web', '-i', '2', '--wait-ready', '--listen-timeout', '30000'];
  await box.ok('start', fixture('ready-when-file.js'), ...flags);
  const before = await box.app('web');
  const waiting = () => (box.log('web-out-0.log').match(/waits/g) ?? []).length;

  rmSync(gate);
  const first = box.upkeep('reload', 'web');
  await until(() => waiting() === 2, 'the first new worker');
  const second = await box.fails('reload', 'web');
  assert.match(second.stderr, /a reload of web is running/);
  assert.match(second.stderr, /next: wait for it/);
  assert.match((await box.fails('start', 'web')).stderr, /a reload of web is running/);
  box.write('gate', '');
  const { code, stderr } = await first;
  assert.equal(code, 0, stderr);
  const after = await box.app('web');
  assert.ok(after.every(({ pid }) => !before.some((old) => old.pid === pid)));

  rmSync(gate);
  const third = box.upkeep('reload', 'web');
  await until(() => waiting() === 3, 'the new worker of the third reload');
  await box.ok('stop', 'web');
  const calledOff = await third;
  assert.notEqual(calledOff.code, 0);
  assert.match(calledOff.stderr, /called off by stop/);
  assert.deepEqual(
    (await box.app('web')).map(({ state }) => state.kind),
    ['stopped', 'stopped'],
  );
});

test('in fork mode it restarts', async (t) => {
  const box = await sandbox(t);
  box.write('app.js', server('old'));
  await box.ok('start', 'app.js');
  const [before] = await box.rows();
  box.write('app.js', server('new'));
  await box.ok('reload', 'app');
  const [after] = await box.rows();
  assert.equal((await get(box.port)).body, `new ${after?.pid}`);
  assert.equal(isAlive(before?.pid ?? 0), false);
});

test('an app that is stopped is started', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', fixture('http-hello.js'), '--name', 'web', '-i', '2');
  await box.ok('stop', 'web');
  await box.ok('reload', 'web');
  assert.ok((await box.app('web')).every(({ state }) => state.kind === 'online'));
});

test('--update-env brings the environment of the shell to the new workers', async (t) => {
  const box = await sandbox(t);
  box.env['SAYS'] = 'one';
  await box.ok('start', fixture('http-hello.js'), '--name', 'web', '-i', '2');
  box.env['SAYS'] = 'two';
  await box.ok('reload', 'web');
  assert.match((await get(box.port)).body, /"one"/);
  await box.ok('reload', 'web', '--update-env');
  assert.match((await get(box.port)).body, /"two"/);
});
