import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fixture, type Sandbox, sandbox } from './harness.ts';
import { get } from './requests.ts';
import { until } from './until.ts';

/** Skips the test where a program is missing. @returns whether it is there. */
function has(t: TestContext, program: string): boolean {
  if (spawnSync('which', [program], { stdio: 'ignore' }).status === 0) return true;
  t.skip(`there is no ${program} here`);
  return false;
}

async function runsAsOne(box: Sandbox): Promise<void> {
  const rows = await box.rows();
  assert.deepEqual(
    rows.map(({ mode, state }) => [mode, state.kind]),
    [['fork', 'online']],
  );
}

test('bash by its extension, with arguments', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', fixture('prints-lines.sh'), '--', 'one', 'two three');
  await runsAsOne(box);
  assert.equal(
    await box.logged('prints-lines-out.log', 'args'),
    'out 1\nout 2\nout 3\nout 4\nout 5\nargs: one two three\n',
  );
  assert.equal(box.log('prints-lines-error.log').split('\n').length, 6);
});

for (const [language, program, script] of [
  ['Ruby', 'ruby', 'says-hello.rb'],
  ['Perl', 'perl', 'says-hello.pl'],
  ['PHP', 'php', 'says-hello.php'],
] as const) {
  test(`${language} by its extension`, async (t) => {
    if (!has(t, program)) return;
    const box = await sandbox(t);
    await box.ok('start', fixture(script), '--name', 'app', '--', 'a', 'b');
    await runsAsOne(box);
    await box.logged('app-out.log', `hello from ${language}, a,b\n`);
  });
}

test('Python by its extension: its output comes at once', async (t) => {
  if (!has(t, 'python3')) return;
  const box = await sandbox(t);
  await box.ok('start', fixture('counter.py'), '--', 'x', 'y z');
  await runsAsOne(box);
  const log = await box.logged('counter-out.log', 'count 2\n');
  assert.match(log, /^python 3 args \['x', 'y z'\]\ncount 1\n/);
});

test('Python by --interpreter, with arguments of the interpreter', async (t) => {
  if (!has(t, 'python3')) return;
  const box = await sandbox(t);
  box.write(
    'tool',
    "import sys\nprint('flags', sys.flags.optimize, flush=True)\nsys.stdin.close()\nimport time\ntime.sleep(1000)\n",
  );
  await box.ok('start', 'tool', '--interpreter', 'python3', '--interpreter-args', '-O');
  await runsAsOne(box);
  await box.logged('tool-out.log', 'flags 1\n');
});

test("Python's http.server as a command line", async (t) => {
  if (!has(t, 'python3')) return;
  const box = await sandbox(t);
  box.write('hello.txt', 'hello from python');
  await box.ok('start', `python3 -m http.server ${box.port} --bind 127.0.0.1`, '--name', 'files');
  await runsAsOne(box);
  // That a program which is not Node.js listens, nobody tells.
  const answer = await until(() => get({ port: box.port, path: '/hello.txt' }).catch(() => null), 'an answer');
  assert.equal(answer.body, 'hello from python');
});

test('a compiled program by itself, and by --interpreter none', async (t) => {
  if (!has(t, 'cc')) return;
  const box = await sandbox(t);
  execFileSync('cc', ['-o', join(box.cwd, 'says-hello'), fixture('says-hello.c')]);
  copyFileSync(join(box.cwd, 'says-hello'), join(box.cwd, 'other.bin'));
  await box.ok('start', './says-hello', '--', 'one', 'two');
  await runsAsOne(box);
  await box.logged('says-hello-out.log', 'hello from C, 2 argument(s), last two\n');
  await box.ok('start', './other.bin', '--interpreter', 'none', '--', 'three');
  await box.logged('other-out.log', 'hello from C, 1 argument(s), last three\n');
  await box.ok('stop', 'all');
  assert.ok((await box.rows()).every(({ state }) => state.kind === 'stopped'));
});

test('an executable script goes by its first line', async (t) => {
  const box = await sandbox(t);
  const shell = box.write('tool', '#!/bin/sh\necho "by sh $1"\nexec sleep 1000\n');
  const node = box.write(
    'server',
    '#!/usr/bin/env node\nconsole.log("by node", process.argv[2]); setInterval(() => {}, 60_000);\n',
  );
  for (const path of [shell, node]) chmodSync(path, 0o755);
  await box.ok('start', './tool', '--', 'one');
  await box.logged('tool-out.log', 'by sh one\n');
  await box.ok('start', './server', '-i', '1', '--listen-timeout', '200', '--', 'two');
  await box.logged('server-out-1.log', 'by node two\n');
  assert.equal((await box.app('server'))[0]?.mode, 'cluster');
});

test('a program that ends at once is a failed start', async (t) => {
  const box = await sandbox(t);
  box.write('broken.sh', 'echo "no such table" >&2\nexit 4\n');
  const { stderr } = await box.fails('start', 'broken.sh', '--restart-delay', '60000');
  assert.match(stderr, /✗ broken \(0\): .*code 4/);
  assert.match(stderr, /no such table/);
});
