import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fixture, NODE, type Sandbox, sandbox } from './harness.ts';
import { until } from './until.ts';

const MODES = [
  ['fork', []],
  ['cluster', ['-i', '2']],
] as const;

const NOT_LINUX = process.platform === 'linux' ? false : 'only /proc tells who has a port';

/** Whatever went wrong: nothing is shown as online, now or later. */
async function neverOnline(box: Sandbox): Promise<void> {
  for (const { name, state } of await box.rows()) assert.notEqual(state.kind, 'online', name);
}

/** The lines of a failure: what failed and why, and what to do next. */
function causeAndNextStep(stderr: string, cause: RegExp, next: RegExp): void {
  const lines = stderr.split('\n');
  const first = lines.filter((line) => /^(✗|upkeep:)/.test(line));
  assert.equal(first.length, 1, `one line with the cause, got:\n${stderr}`);
  assert.match(first[0] ?? '', cause);
  const steps = lines.filter((line) => line.startsWith('  next: '));
  assert.equal(steps.length, 1, `one next step, got:\n${stderr}`);
  assert.match(steps[0] ?? '', next);
}

for (const [mode, flags] of MODES) {
  test(`${mode}: script not found`, async (t) => {
    const box = await sandbox(t);
    const { stderr } = await box.fails('start', 'missing.js', ...flags);
    causeAndNextStep(stderr, /script not found: .*\/missing\.js does not exist/, /check the path/);
    assert.deepEqual(await box.rows(), []);
  });

  test(`${mode}: a folder is no script`, async (t) => {
    const box = await sandbox(t);
    box.write('lib/index.txt', '');
    const { stderr } = await box.fails('start', './lib', ...flags);
    causeAndNextStep(stderr, /lib is a folder, not a script/, /./);
    assert.deepEqual(await box.rows(), []);
  });

  test(`${mode}: a syntax error shows its place`, async (t) => {
    const box = await sandbox(t);
    box.write('app.js', 'let one = 1;\nlet two = = 2;\n');
    const { stderr } = await box.fails('start', 'app.js', '--restart-delay', '60000', ...flags);
    causeAndNextStep(stderr, /app \(0(, 1)?\): .*code 1/, /upkeep logs app/);
    assert.match(stderr, /app\.js:2\n/);
    assert.match(stderr, /SyntaxError/);
    await neverOnline(box);
  });

  test(`${mode}: a throw at start shows the last lines of stderr`, async (t) => {
    const box = await sandbox(t);
    const { stderr } = await box.fails('start', fixture('throws-at-start.js'), '--restart-delay', '60000', ...flags);
    causeAndNextStep(stderr, /throws-at-start \(0(, 1)?\): .*code 1/, /upkeep logs/);
    assert.match(stderr, /Error: the database password is missing/);
    await neverOnline(box);
  });

  test(`${mode}: a port in use names the process that has it`, async (t) => {
    const box = await sandbox(t);
    const port = await occupiedPort(t);
    box.env['PORT'] = String(port);
    const { stderr } = await box.fails('start', fixture('http-hello.js'), '--restart-delay', '60000', ...flags);
    const linux = process.platform === 'linux';
    const cause = linux
      ? new RegExp(`port ${port} is in use by .*node.* \\(pid ${process.pid}\\)`)
      : new RegExp(`port ${port} is in use`);
    causeAndNextStep(stderr, cause, /stop what uses it/);
    await neverOnline(box);
  });

  test(`${mode}: a port in use is told of an app that handles the error, and ends with code 0`, async (t) => {
    const box = await sandbox(t);
    const port = await occupiedPort(t);
    box.write(
      'app.js',
      `const server = require('node:http').createServer();
       server.once('error', () => process.exit(0)).listen(${port});`,
    );
    const { stderr } = await box.fails('start', 'app.js', '--restart-delay', '60000', ...flags);
    causeAndNextStep(stderr, new RegExp(`port ${port} is in use`), /stop what uses it/);
    await neverOnline(box);
  });

  test(`${mode}: a port that a cluster of the same upkeep has is told as that`, { skip: NOT_LINUX }, async (t) => {
    const box = await sandbox(t);
    await box.ok('start', fixture('http-hello.js'), '--name', 'web', '-i', '2');
    const more = ['--name', 'other', '--restart-delay', '60000', ...flags];
    const { stderr } = await box.fails('start', fixture('http-hello.js'), ...more);
    assert.match(stderr, /in use by another app of upkeep: .*http-hello\.js \(pid \d+\)/);
  });

  test(`${mode}: the log folder cannot be written`, async (t) => {
    const box = await sandbox(t);
    // Below a regular file nothing can be made, not even by root.
    const file = box.write('file', '');
    const more = ['--output', join(file, 'out.log'), '--restart-delay', '60000', ...flags];
    const { stderr } = await box.fails('start', fixture('idles.js'), ...more);
    assert.match(stderr, /✗ idles \(0\): cannot write the log file .*\/file\/out(-\d)?\.log/);
    assert.match(stderr, /\n {2}next: /);
    await neverOnline(box);
    // Else each of several instances has a name of its own.
    const merged = ['--merge-logs', '--output', box.cwd, ...flags];
    const folder = await box.fails('start', fixture('idles.js'), '--name', 'other', ...merged);
    causeAndNextStep(
      folder.stderr,
      /cannot write the log file .*: it is a folder/,
      /move it away, or name other files/,
    );
  });

  test(`${mode}: interpreter not found`, async (t) => {
    const box = await sandbox(t);
    const missing = await box.fails('start', fixture('idles.js'), '--interpreter', 'nodde', ...flags);
    causeAndNextStep(missing.stderr, /interpreter not found: nodde is not on PATH/, /install it|--interpreter/);
    const path = await box.fails('start', fixture('idles.js'), '--interpreter', './no/node', ...flags);
    causeAndNextStep(path.stderr, /interpreter not found: .*\/no\/node/, /--interpreter/);
    assert.deepEqual(await box.rows(), []);
  });

  test(`${mode}: it ends at once with code 0`, async (t) => {
    const box = await sandbox(t);
    const { stderr } = await box.fails('start', fixture('exits-zero.js'), '--restart-delay', '60000', ...flags);
    causeAndNextStep(stderr, /code 0/, /--no-autorestart|stop_exit_codes/);
    await neverOnline(box);
  });

  test(`${mode}: the working directory does not exist`, async (t) => {
    const box = await sandbox(t);
    const more = ['--cwd', join(box.cwd, 'nowhere'), '--restart-delay', '60000', ...flags];
    const { stderr } = await box.fails('start', fixture('idles.js'), ...more);
    assert.match(stderr, /nowhere|working directory/);
    assert.match(stderr, /next: /);
    await neverOnline(box);
  });
}

test('an app that ends with code 0 again and again is never online on the way', async (t) => {
  const box = await sandbox(t);
  await box.fails('start', fixture('exits-zero.js'), '--max-restarts', '4');
  const seen = new Set<string>();
  await until(async () => {
    for (const { state } of await box.rows()) seen.add(state.kind);
    return seen.has('errored');
  }, 'the end of the attempts');
  assert.ok(!seen.has('online'), [...seen].join(' '));
});

test('no permission for the port', async (t) => {
  const probe = [
    '-e',
    "require('net').createServer().on('error', (e) => console.log(e.code)).listen(80, '127.0.0.1', () => process.exit())",
  ];
  const root = process.getuid?.() === 0;
  const nobody = root ? { uid: 65_534, gid: 65_534 } : {};
  const { stdout } = spawnSync(NODE, probe, { encoding: 'utf8', cwd: '/', ...nobody });
  if (stdout.trim() !== 'EACCES') return t.skip('any user may listen on port 80 here');
  const readable = spawnSync(NODE, ['--check', join(process.cwd(), 'dist', 'bootstrap.cjs')], { cwd: '/', ...nobody });
  if (readable.status !== 0) return t.skip('another user cannot read this checkout');
  const box = await sandbox(t);
  box.env['PORT'] = '80';
  const user = root ? ['--uid', '65534', '--gid', '65534', '--cwd', '/'] : [];
  const { stderr } = await box.fails('start', fixture('http-hello.js'), '--restart-delay', '60000', ...user);
  causeAndNextStep(stderr, /no permission to listen on port 80/, /below 1024|CAP_NET_BIND_SERVICE/);
  await neverOnline(box);
});

test('a cluster of what is not Node.js', async (t) => {
  const box = await sandbox(t);
  box.write('python.json', JSON.stringify({ apps: [{ script: fixture('counter.py'), exec_mode: 'cluster' }] }));
  const { stderr } = await box.fails('start', 'python.json');
  causeAndNextStep(stderr, /cluster mode needs a Node\.js script: python3? is not Node\.js/, /fork mode/);

  box.write(
    'other.json',
    JSON.stringify({ apps: [{ script: fixture('idles.js'), interpreter: 'bash', exec_mode: 'cluster' }] }),
  );
  const other = await box.fails('start', 'other.json');
  causeAndNextStep(other.stderr, /cluster mode needs a Node\.js script: bash is not Node\.js/, /fork mode/);

  box.write('line.json', JSON.stringify({ apps: [{ script: 'sleep 1000; true', exec_mode: 'cluster' }] }));
  const line = await box.fails('start', 'line.json');
  causeAndNextStep(line.stderr, /cluster mode needs a Node\.js script/, /./);
  assert.deepEqual(await box.rows(), []);
});

for (const wrapper of ['npm', 'npx']) {
  test(`${wrapper} as the script of a cluster`, async (t) => {
    const box = await sandbox(t);
    if (spawnSync('which', [wrapper], { env: box.env }).status !== 0) return t.skip(`there is no ${wrapper} here`);
    const { stderr } = await box.fails('start', wrapper, '-i', '2', '--', 'run', 'serve');
    causeAndNextStep(stderr, new RegExp(`${wrapper} only starts another program`), /name the JavaScript file/);
    assert.deepEqual(await box.rows(), []);
  });
}

test('a shell script of node_modules/.bin as the script of a cluster', async (t) => {
  const box = await sandbox(t);
  const bin = box.write('node_modules/.bin/tool', '#!/bin/sh\nexec node "$(dirname "$0")/../tool/cli.js" "$@"\n');
  chmodSync(bin, 0o755);
  const { stderr } = await box.fails('start', 'node_modules/.bin/tool', '-i', '2');
  causeAndNextStep(
    stderr,
    /node_modules\/\.bin\/tool only starts another program/,
    /name the JavaScript file.*package/,
  );
  assert.deepEqual(await box.rows(), []);
});

test('the same wrappers run in fork mode', async (t) => {
  const box = await sandbox(t);
  box.write('node_modules/tool/cli.js', "console.log('tool', process.argv[2]); setInterval(() => {}, 60_000);");
  const bin = box.write('node_modules/.bin/tool', '#!/bin/sh\nexec node "$(dirname "$0")/../tool/cli.js" "$@"\n');
  chmodSync(bin, 0o755);
  await box.ok('start', 'node_modules/.bin/tool', '--', 'serve');
  await box.logged('tool-out.log', 'tool serve');

  if (spawnSync('which', ['npm'], { env: box.env }).status !== 0) return;
  const scripts = { serve: "echo 'by npm' && exec sleep 1000" };
  box.write('package.json', JSON.stringify({ name: 'app', version: '1.0.0', scripts }));
  await box.ok('start', 'npm', '--name', 'by-npm', '--', 'run', 'serve');
  await box.logged('by-npm-out.log', 'by npm');
});

test('a script without the right to execute it', async (t) => {
  const box = await sandbox(t);
  const path = box.write('tool', '#!/bin/sh\nsleep 1000\n');
  chmodSync(path, 0o644);
  const { stderr } = await box.fails('start', './tool', '--interpreter', 'none');
  causeAndNextStep(stderr, /tool is not executable/, /chmod \+x|--interpreter/);
  assert.deepEqual(await box.rows(), []);
});

test('a home that cannot be used is named', async (t) => {
  const box = await sandbox(t);
  const file = box.write('file', '');
  for (const [home, expected] of [
    [`${file}/home`, /\/file\/home/],
    ['relative/home', /UPKEEP_HOME must be an absolute path/],
    [`/tmp/${'x'.repeat(100)}`, /UPKEEP_HOME may have at most \d+ bytes/],
  ] as const) {
    const result = await box.run(['list'], { env: { UPKEEP_HOME: home } });
    assert.equal(result.code, 1);
    causeAndNextStep(result.stderr, expected, /UPKEEP_HOME/);
  }
});

test('several instances that fail alike are told once', async (t) => {
  const box = await sandbox(t);
  const { stderr } = await box.fails('start', fixture('throws-at-start.js'), '-i', '4', '--restart-delay', '60000');
  assert.equal(stderr.match(/ Error: the database password is missing/g)?.length, 1, stderr);
});

/** A port on which this very process listens. */
async function occupiedPort(t: TestContext): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  return (server.address() as AddressInfo).port;
}

test('a folder that was removed under the shell', async (t) => {
  const box = await sandbox(t);
  const gone = box.write('gone/file', '');
  const script = `cd ${dirname(gone)}; rm -r ${dirname(gone)}; exec ${NODE} ${join(process.cwd(), 'dist', 'upkeep.cjs')}`;
  const inGone = (command: string) =>
    spawnSync('sh', ['-c', `${script} ${command}`], { cwd: box.cwd, env: box.env, encoding: 'utf8' });
  const { status, stderr } = inGone(`start ${fixture('idles.js')}`);
  assert.equal(status, 2, stderr);
  causeAndNextStep(stderr, /the folder that this command was called in is not there/, /cd/);
  // What depends on no folder is done.
  await box.ok('start', fixture('idles.js'), '--name', 'job');
  for (const command of ['start job', 'restart job', 'reload job', 'reset job', 'stop job', 'delete job']) {
    mkdirSync(dirname(gone));
    const done = inGone(command);
    assert.equal(done.status, 0, `${command}: ${done.stderr}`);
  }
  assert.deepEqual(await box.rows(), []);
});
