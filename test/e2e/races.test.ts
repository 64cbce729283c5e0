import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fixture, sandbox } from './harness.ts';
import { commandLine, isAlive, processesWith } from './processes.ts';
import { differentAnswers, get } from './requests.ts';
import { sorted } from './sorted.ts';

/** Main processes of a script, as they are in truth. */
function running(script: string): number[] {
  return processesWith(script).filter((pid) => isAlive(pid) && !/upkeep\.cjs/.test(commandLine(pid)));
}

for (const [mode, flags, count] of [
  ['fork', [], 1],
  ['cluster', ['-i', '2'], 2],
] as const) {
  test(`${mode} mode: starts of one file at the same moment, with no daemon yet, make one app`, async (t) => {
    const box = await sandbox(t);
    const script = box.write(
      'app.js',
      "require('node:http').createServer((q, s) => s.end(String(process.pid))).listen(process.env.PORT, '127.0.0.1');",
    );
    const results = await Promise.all([1, 2, 3].map(() => box.upkeep('start', 'app.js', ...flags)));
    assert.ok(
      results.some(({ code }) => code === 0),
      results.map(({ stderr }) => stderr).join('\n'),
    );
    for (const { code, stderr } of results)
      if (code !== 0) assert.match(stderr, /there is an app named app already|is running/);
    const rows = await box.rows();
    assert.deepEqual(
      rows.map(({ name, state }) => [name, state.kind]),
      Array.from({ length: count }, () => ['app', 'online']),
    );
    assert.deepEqual(sorted(running(script)), sorted(rows.map(({ pid }) => pid)));
    assert.equal((await differentAnswers(box.port, count)).size, count);
  });
}

test('starts of different apps at the same moment share one daemon', async (t) => {
  const box = await sandbox(t);
  const names = ['a', 'b', 'c', 'd', 'e'];
  const results = await Promise.all(names.map((name) => box.upkeep('start', fixture('idles.js'), '--name', name)));
  for (const { code, stderr } of results) assert.equal(code, 0, stderr);
  const rows = await box.rows();
  assert.deepEqual(sorted(rows.map(({ name }) => name)), names);
  assert.deepEqual(sorted(rows.map(({ id }) => id)), [0, 1, 2, 3, 4]);
  const daemons = processesWith(box.home).filter((pid) => commandLine(pid).startsWith('upkeep daemon'));
  assert.equal(daemons.length, 1);
  assert.equal(box.supervisors().length, 1);
});

test('restarts of one app at the same moment leave one process', async (t) => {
  const box = await sandbox(t);
  const script = box.write(
    'app.js',
    "require('node:http').createServer((q, s) => s.end('ok')).listen(process.env.PORT, '127.0.0.1');",
  );
  await box.ok('start', 'app.js');
  const results = await Promise.all([1, 2, 3].map(() => box.upkeep('restart', 'app')));
  assert.ok(results.some(({ code }) => code === 0));
  const [row, ...more] = await box.rows();
  assert.deepEqual(more, []);
  assert.equal(row?.state.kind, 'online');
  assert.deepEqual(running(script), [row?.pid]);
  assert.equal((await get(box.port)).body, 'ok');
});

test('a stop and a restart at the same moment: the list and the processes agree afterwards', async (t) => {
  const box = await sandbox(t);
  const script = box.write('app.js', 'setInterval(() => {}, 60_000);');
  await box.ok('start', 'app.js');
  await Promise.all([box.upkeep('restart', 'app'), box.upkeep('stop', 'app')]);
  const [row] = await box.rows();
  assert.deepEqual(running(script), row?.pid === null ? [] : [row?.pid]);
  assert.ok(row?.state.kind === 'online' || row?.state.kind === 'stopped', row?.state.kind);
});

test('scales of one app at the same moment end with as many as one of them said', async (t) => {
  const box = await sandbox(t);
  const script = box.write(
    'app.js',
    "require('node:http').createServer((q, s) => s.end('ok')).listen(0, '127.0.0.1');",
  );
  await box.ok('start', 'app.js', '-i', '2');
  await Promise.all([box.upkeep('scale', 'app', '4'), box.upkeep('scale', 'app', '3')]);
  const rows = await box.rows();
  assert.ok(rows.length === 3 || rows.length === 4, String(rows.length));
  assert.ok(rows.every(({ state }) => state.kind === 'online'));
  assert.equal(running(script).length, rows.length);
});

test('a delete during a start leaves nothing', async (t) => {
  const box = await sandbox(t);
  box.env['GATE'] = `${box.cwd}/gate`;
  const flags = ['--name', 'web', '-i', '2', '--wait-ready', '--listen-timeout', '30000'];
  const started = box.upkeep('start', fixture('ready-when-file.js'), ...flags);
  await box.logged('web-out-0.log', /waits/);
  await box.ok('delete', 'web');
  assert.notEqual((await started).code, 0);
  assert.deepEqual(await box.rows(), []);
  assert.deepEqual(
    processesWith(box.cwd).filter((pid) => commandLine(pid).includes('ready-when-file')),
    [],
  );
});
