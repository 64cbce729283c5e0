import assert from 'node:assert/strict';
import { execFileSync, fork } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { tempFolder } from '../fakes/temp-folder.ts';

/** An app that settles too early has done so by then. */
const EARLY_MS = 150;

/** Runs an app with the bootstrap. `told` are the words of its bootstrap and of itself, in their order. */
function app(t: TestContext, code: string) {
  const folder = tempFolder(t);
  const path = join(folder, 'app.cjs');
  writeFileSync(path, code);
  const told: unknown[] = [];
  const waiting = new Map<unknown, () => void>();
  const note = (word: unknown): void => {
    told.push(word);
    waiting.get(word)?.();
  };
  const child = fork(path, {
    cwd: folder,
    execArgv: ['--require', join(process.cwd(), 'dist', 'bootstrap.cjs')],
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
  child.on('internalMessage' as 'message', (message) => note((message as { body: { kind: string } }).body.kind));
  child.on('message', note);
  t.after(() => child.kill('SIGKILL'));
  return {
    folder,
    told,
    hears: (word: string) =>
      new Promise<void>((resolve) => {
        if (told.includes(word)) resolve();
        else waiting.set(word, resolve);
      }),
  };
}

test('an app that waits for nothing but time settles', async (t) => {
  const { told, hears } = app(t, 'setInterval(() => {}, 60_000)');
  await hears('settled');
  assert.deepEqual(told, ['main-ran', 'settled']);
});

test('a server settles too', async (t) => {
  const { told, hears } = app(t, `require('node:http').createServer().listen(0, '127.0.0.1')`);
  await hears('settled');
  assert.deepEqual(told, ['listening', 'main-ran', 'settled']);
});

test('one that has asked a peer waits for its answer', async (t) => {
  const peer = createServer();
  const asked = new Promise<Socket>((resolve) =>
    peer.on('connection', (socket) => socket.once('data', () => resolve(socket))),
  );
  await new Promise<void>((resolve) => peer.listen(0, '127.0.0.1', resolve));
  t.after(() => peer.close());
  const { port } = peer.address() as { port: number };
  const { told, hears } = app(
    t,
    `require('node:net').connect(${port}, '127.0.0.1', function () { this.write('login'); })
      .on('data', () => process.send('answered'))`,
  );
  const socket = await asked;
  t.after(() => socket.destroy());
  await sleep(EARLY_MS);
  socket.write('welcome');
  await hears('settled');
  assert.deepEqual(told, ['main-ran', 'answered', 'settled']);
});

test('one that reads a file waits for it', async (t) => {
  const { folder, told, hears } = app(
    t,
    `const path = __dirname + '/pipe';
    require('node:child_process').execFileSync('mkfifo', [path]);
    require('node:fs').readFile(path, () => process.send('read'));
    setInterval(() => {}, 60_000)`,
  );
  await hears('main-ran');
  await sleep(EARLY_MS);
  execFileSync('sh', ['-c', 'echo settings > "$1"', 'sh', join(folder, 'pipe')], { timeout: 10_000 });
  await hears('settled');
  assert.deepEqual(told, ['main-ran', 'read', 'settled']);
});

test('one that starts a thread waits until that runs', async (t) => {
  const { told, hears } = app(
    t,
    `const { Worker } = require('node:worker_threads');
    new Worker('setInterval(() => {}, 60_000)', { eval: true }).on('online', () => process.send('runs'))`,
  );
  await hears('settled');
  assert.deepEqual(told, ['main-ran', 'runs', 'settled']);
});
