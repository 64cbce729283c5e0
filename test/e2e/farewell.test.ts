import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Sandbox, sandbox } from './harness.ts';

/** Long after the end of whatever ends by itself. */
const NEVER = ['--kill-timeout', '20000'] as const;
const SERVER = `const server = require('node:http').createServer((q, r) => r.end()).listen(process.env.PORT, '127.0.0.1');`;
const LIBRARY = `process.on('message', (message) => console.log('message', message));`;
const HOOK = `process.on('SIGINT', () => { console.log('signal'); setTimeout(() => process.exit(0), 20); });`;

/** Starts an app and stops it. @returns what it said, and how it ended. */
async function stopped(box: Sandbox, code: string, ...flags: string[]) {
  box.write('app.js', code);
  await box.ok('start', 'app.js', ...NEVER, ...flags);
  await box.ok('stop', 'app');
  const { lastExit } = (await box.rows())[0] ?? {};
  const log = box.log('app-out.log') + box.log('app-out-0.log');
  return { log, exit: [lastExit?.code, lastExit?.signal] };
}

test('cluster mode: a message listener of a library does not take the signal away', async (t) => {
  const box = await sandbox(t);
  const { log, exit } = await stopped(box, SERVER + LIBRARY + HOOK, '-i', '1');
  assert.equal(log, 'message shutdown\nsignal\n');
  assert.deepEqual(exit, [0, null]);
});

test('cluster mode: nor does one of cluster.worker, on a reload', async (t) => {
  const box = await sandbox(t);
  const library = `require('node:cluster').worker.on('message', (message) => console.log('message', message));`;
  box.write('app.js', SERVER + library + HOOK);
  await box.ok('start', 'app.js', ...NEVER, '-i', '1');
  await box.ok('reload', 'app');
  assert.equal(await box.logged('app-out-0.log', 'signal'), 'message shutdown\nsignal\n');
});

test('fork mode: nor does one where the message was asked for', async (t) => {
  const box = await sandbox(t);
  const { log, exit } = await stopped(box, SERVER + LIBRARY + HOOK, '--shutdown-with-message');
  assert.equal(log, 'message shutdown\nsignal\n');
  assert.deepEqual(exit, [0, null]);
});

test('an app that acts on the message is not cut short by the signal', async (t) => {
  const box = await sandbox(t);
  const flush = `process.on('message', () => setTimeout(() => { console.log('flushed'); process.exit(0); }, 200));`;
  const quick = `process.on('SIGINT', () => process.exit(3));`;
  const { log, exit } = await stopped(box, SERVER + flush + quick, '-i', '1');
  assert.equal(log, 'flushed\n');
  assert.deepEqual(exit, [0, null]);
});

test('one that acts on the message gets no signal that it does not handle', async (t) => {
  const box = await sandbox(t);
  const flush = `process.on('message', () => setTimeout(() => { console.log('flushed'); }, 200));`;
  const { log, exit } = await stopped(box, SERVER + flush, '-i', '1');
  assert.equal(log, 'flushed\n');
  assert.deepEqual(exit, [0, null]);
});

const CLOSES = `process.on('SIGINT', () => server.close(() => console.log('closed')));`;

for (const [mode, flags] of [
  ['cluster', ['-i', '1']],
  ['fork', []],
] as const) {
  test(`${mode} mode: an app that closes its server on the signal ends, as only the channel kept it`, async (t) => {
    const box = await sandbox(t);
    const { log, exit } = await stopped(box, `${SERVER}${LIBRARY}${CLOSES}`, ...flags);
    assert.match(log, /closed\n$/);
    assert.deepEqual(exit, [0, null]);
  });
}

test('a cluster worker that is signalled before it is ready ends so too', async (t) => {
  const box = await sandbox(t);
  const code = `const timer = setInterval(() => {}, 1000); process.on('SIGINT', () => clearInterval(timer)); console.log('up');`;
  box.write('app.js', code);
  const started = box.upkeep('start', 'app.js', '-i', '1', ...NEVER, '--listen-timeout', '60000');
  await box.logged('app-out-0.log', 'up');
  await box.ok('stop', 'app');
  await started;
  const { lastExit } = (await box.rows())[0] ?? {};
  assert.deepEqual([lastExit?.code, lastExit?.signal], [0, null]);
});
