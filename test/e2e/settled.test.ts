import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { sandbox } from './harness.ts';

test('a program that listens nowhere fails at its start when what it asked for fails later', async (t) => {
  const box = await sandbox(t);
  // A database that thinks for a while, and then refuses.
  const database = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => setTimeout(() => socket.resetAndDestroy(), 200));
  });
  await new Promise<void>((resolve) => database.listen(0, '127.0.0.1', resolve));
  t.after(() => database.close());
  const { port } = database.address() as { port: number };
  box.write('queue.js', `require('node:net').connect(${port}, '127.0.0.1', function () { this.write('login'); });`);
  const { stderr } = await box.fails('start', 'queue.js');
  assert.match(stderr, /ECONNRESET/);
});

test('a program that listens nowhere is online when it has settled, and lives on', async (t) => {
  const box = await sandbox(t);
  box.write('queue.js', 'setInterval(() => {}, 60_000)');
  await box.ok('start', 'queue.js');
  const [row] = await box.rows();
  assert.deepEqual([row?.state.kind, row?.restarts], ['online', 0]);
});
