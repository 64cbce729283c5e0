import assert from 'node:assert/strict';
import { chmodSync } from 'node:fs';
import { test } from 'node:test';
import { type Sandbox, sandbox } from './harness.ts';
import { get } from './requests.ts';

/** Starts Node.js as tsx does: in a process of its own, with what either says handed on. */
const RUNNER = `#!/usr/bin/env node
const child = require('node:child_process').spawn(process.execPath, process.argv.slice(2), {
  stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
});
child.on('message', (message) => process.send?.(message)).on('exit', (code) => process.exit(code ?? 1));
process.on('message', (message) => child.send(message));
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));`;
const WRAPPER = '#!/bin/sh\nexec node "$@"\n';
const SERVER = `const server = require('node:http').createServer((q, r) => r.end('served')).listen(process.env.PORT, '127.0.0.1');`;

function executable(box: Sandbox, name: string, text: string): string {
  const path = box.write(name, text);
  chmodSync(path, 0o755);
  return `./${name}`;
}

for (const [what, text] of [
  ['a runner such as tsx', RUNNER],
  ['a shell script', WRAPPER],
] as const) {
  test(`Node.js started by ${what} says that it is ready`, async (t) => {
    const box = await sandbox(t);
    box.write('app.js', `${SERVER} server.on('listening', () => process.send('ready'));`);
    const interpreter = executable(box, 'run', text);
    await box.ok('start', 'app.js', '--interpreter', interpreter, '--wait-ready', '--listen-timeout', '30000');
    assert.equal((await get(box.port)).body, 'served');
    const [row] = await box.rows();
    assert.deepEqual([row?.state.kind, row?.restarts], ['online', 0]);
  });
}

test('one that never says so is told as such', async (t) => {
  const box = await sandbox(t);
  const { stderr } = await box.fails('start', 'sleep 1000', '--name', 'app', '--wait-ready', '--listen-timeout', '300');
  assert.match(stderr, /did not send 'ready' within 300 ms/);
});

test('Node.js in a command line has a channel, which does not keep it when it is to end', async (t) => {
  const box = await sandbox(t);
  box.write(
    'app.js',
    `${SERVER} console.log(typeof process.send); process.on('message', () => {});
    process.on('SIGINT', () => server.close(() => console.log('closed')));`,
  );
  await box.ok('start', 'echo begun; node app.js; echo ended', '--name', 'app', '--kill-timeout', '20000');
  await box.logged('app-out.log', 'function');
  await get(box.port);
  await box.ok('stop', 'app');
  assert.match(box.log('app-out.log'), /closed\n/);
  assert.equal((await box.rows())[0]?.lastExit?.signal === 'SIGKILL', false);
});

test('a program that closes what it does not know, or uses low descriptors, starts Node.js unhurt', async (t) => {
  const box = await sandbox(t);
  const line = `exec 3>low 4>&3 20>&-; node -e 'console.log(\`runs \${process.argv[1]}\`)' one; exec sleep 1000`;
  await box.ok('start', line, '--name', 'app');
  await box.logged('app-out.log', 'runs one\n');
  assert.equal(box.log('app-error.log'), '');
});
