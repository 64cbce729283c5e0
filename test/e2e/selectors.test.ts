import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fixture, sandbox } from './harness.ts';
import { sorted } from './sorted.ts';

test('a name, an id, a namespace, all, a regular expression, or several', async (t) => {
  const box = await sandbox(t);
  const apps = [
    { name: 'api', namespace: 'shop' },
    { name: 'worker', namespace: 'shop', instances: 2, exec_mode: 'fork' },
    { name: 'api-v2', namespace: 'blog' },
  ];
  box.write('apps.json', JSON.stringify(apps.map((app) => ({ ...app, script: fixture('idles.js') }))));
  await box.ok('start', 'apps.json');
  const rows = await box.rows();
  // A signal that changes nothing tells which processes a target means.
  const ids = async (...targets: string[]): Promise<string> => {
    const { stderr } = await box.ok('sendSignal', 'SIGCONT', ...targets);
    const pids = stderr.match(/\d+/g)?.map(Number) ?? [];
    return sorted(rows.filter(({ pid }) => pids.includes(pid ?? 0)).map(({ id }) => id)).join(' ');
  };
  assert.equal(await ids('api'), '0');
  assert.equal(await ids('worker'), '1 2');
  assert.equal(await ids('2'), '2');
  assert.equal(await ids('shop/worker', 'blog/api-v2'), '1 2 3');
  assert.equal(await ids('shop'), '0 1 2');
  assert.equal(await ids('/^api/'), '0 3');
  assert.equal(await ids('/API/i'), '0 3');
  assert.equal(await ids('3', 'worker'), '1 2 3');
  assert.equal(await ids('blog', '/v2$/', '3'), '3');
  assert.equal(await ids('all'), '0 1 2 3');
});

test('a name beats a namespace, both beat an id', async (t) => {
  const box = await sandbox(t);
  const apps = [
    { name: 'first', namespace: 'x' },
    { name: '0', namespace: 'y' },
    { name: 'x', namespace: 'z' },
  ];
  box.write('apps.json', JSON.stringify(apps.map((app) => ({ ...app, script: fixture('idles.js') }))));
  await box.ok('start', 'apps.json');
  assert.equal((await box.ok('id', '0')).stdout, '1\n');
  assert.equal((await box.ok('id', 'x')).stdout, '2\n');
  assert.equal((await box.ok('id', '1')).stdout, '1\n');
  assert.equal((await box.ok('id', 'y')).stdout, '1\n');
});
