import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  lchownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fixture, NODE, sandbox } from './harness.ts';
import { until } from './until.ts';

const ESC = '\u001b';
/** Everything but line feeds, tabs and, where they are allowed, colours. */
const COMMANDS = /(?![\n\t])\p{Cc}/u;
const withoutColours = (text: string): string => text.replaceAll(new RegExp(`${ESC}\\[[\\d;]*m`, 'g'), '');

const NAMES = [
  '../../etc/x',
  '..',
  '__proto__',
  'constructor',
  'toString',
  '$(touch pwned)',
  "o'k; touch pwned",
  '%2e%2e',
  '日本語 größe 👩‍💻',
  '語'.repeat(200),
  `x${'/'.repeat(199)}`,
  '42',
];

test('apps of any name are told apart, and write where they should', async (t) => {
  const box = await sandbox(t);
  const apps = NAMES.map((name) => ({ name, script: fixture('prints-lines.js'), args: ['1'], namespace: name }));
  await box.ok('start', box.write('eco.json', JSON.stringify({ apps })));
  const rows = await box.rows();
  assert.deepEqual(new Set(rows.map(({ name }) => name)), new Set(NAMES));
  const view = async (target: string) => (await box.describe(target)).instances[0];
  const logs = await Promise.all(NAMES.map(async (name) => (await view(name))?.logs));
  const paths = logs.flatMap((each) => [each?.out ?? '', each?.error ?? '']);
  assert.equal(new Set(paths).size, NAMES.length * 2);
  for (const path of paths) {
    assert.equal(dirname(path), join(box.home, 'logs'));
    await until(() => readFileSync(path, 'utf8').includes('1'), `lines in ${path}`);
  }
  for (const name of NAMES) {
    assert.equal((await box.ok('id', name)).stdout, `${rows.find((row) => row.name === name)?.id}\n`);
    await box.ok('restart', name);
    await box.ok('delete', name);
  }
  assert.deepEqual(await box.rows(), []);
  assert.deepEqual(readdirSync(dirname(box.home)).toSorted(), ['h', 'w']);
  assert.ok(!existsSync(join(box.cwd, 'pwned')));
});

test('names that would be read as something else are refused, also where they come from the script', async (t) => {
  const box = await sandbox(t);
  for (const script of ['all.js', '-rf.js']) {
    const { stderr } = await box.fails('start', box.write(script, ''));
    assert.match(stderr, /name: must not be all, .* made of the script\n {2}next: .*--name/);
  }
  for (const [name, shown] of [
    ['all', '"all"'],
    [`${ESC}[2J`, String.raw`"\u001b[2J"`],
    ['a\nb', String.raw`"a\nb"`],
    ['a\u202eb', String.raw`"a\u202eb"`],
  ] as const) {
    for (const flag of ['--name', '--namespace']) {
      const { stderr } = await box.fails('start', fixture('idles.js'), flag, name);
      assert.ok(stderr.includes(shown), stderr);
      assert.doesNotMatch(stderr, COMMANDS);
    }
  }
  assert.deepEqual(await box.rows(), []);
});

test('the daemon takes such names from nobody', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', fixture('idles.js'), '--name', 'app');
  const { app } = await box.describe('app');
  const spec = { ...app.spec, env: {} };
  const ask = (name: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const socket = connect(join(box.home, 'run', 'daemon.sock'));
      let text = '';
      socket.on('error', reject).setEncoding('utf8');
      socket.on('data', (chunk: string) => {
        text += chunk;
        if (!text.includes('"id":1')) return;
        socket.destroy();
        resolve(text);
      });
      const params = { specs: [{ ...spec, name }], existing: 'error' };
      socket.write(`${JSON.stringify({ id: 1, method: 'apply', params })}\n`);
    });
  for (const name of ['all', `${ESC}[2J`, '', 'a\nb']) assert.match(await ask(name), /PROTOCOL_MALFORMED/);
  assert.equal((await box.rows()).length, 1);
});

test('variables that no program could have are refused', async (t) => {
  const box = await sandbox(t);
  for (const env of [{ 'A=B': 'secret' }, { '': 'secret' }, { 'A\0': 'secret' }, { A: 'secret\0' }]) {
    const apps = [{ name: 'app', script: fixture('idles.js'), env }];
    const { stderr } = await box.fails('start', box.write('eco.json', JSON.stringify({ apps })));
    assert.match(stderr, /env(\.A)?: .*(variable|zero byte)/);
    assert.doesNotMatch(stderr, /secret/);
  }
  const apps = [{ name: 'app', script: fixture('idles.js'), cwd: 'a\0b' }];
  const { stderr } = await box.fails('start', box.write('eco.json', JSON.stringify({ apps })));
  assert.match(stderr, /cwd: must not hold a zero byte/);
});

const EVIL = `${ESC}]0;title\u0007${ESC}[2J\u009b5n${ESC}[31mred${ESC}[0m\rover\u202ewritten`;

test('what an app says cannot command the terminal', async (t) => {
  const box = await sandbox(t);
  const script = box.write(
    'evil.js',
    `console.error(${JSON.stringify(EVIL)}); throw new Error(${JSON.stringify(EVIL)});`,
  );
  const outputs = [await box.fails('start', script, '--name', 'evil', '--max-restarts', '1')];
  outputs.push(await box.fails('restart', 'evil'), await box.ok('list'), await box.ok('describe', 'evil'));
  outputs.push(await box.ok('describe', 'evil', '--json'), await box.ok('jlist'));
  for (const { stdout, stderr } of outputs) assert.doesNotMatch(stdout + stderr, COMMANDS);
  assert.match(outputs[0]?.stderr ?? '', /title.*\\u001b\[2J.*red.*over/);
});

test('nor can the folder it is in, its arguments, or the title of what has its port', async (t) => {
  const box = await sandbox(t);
  // As a line of ours would look.
  const folder = `in ${ESC}[2J\n    status           online`;
  const script = box.write(
    `${folder}/app.js`,
    `process.title = ${JSON.stringify(EVIL)}; require('node:http').createServer().listen(process.env.PORT);`,
  );
  await box.ok('start', script, '--name', 'first', '--', EVIL);
  const outputs = [
    await box.fails('start', script, '--name', 'second', '--max-restarts', '1', '--cwd', dirname(script)),
  ];
  outputs.push(await box.ok('describe', 'all'), await box.ok('list'));
  for (const { stdout, stderr } of outputs) assert.doesNotMatch(stdout + stderr, COMMANDS);
  assert.doesNotMatch(outputs[1]?.stdout ?? '', /^ {4}status +online.app\.js/m);
  assert.doesNotMatch(readFileSync(join(box.home, 'daemon.log'), 'utf8'), COMMANDS);
});

test('what an app has logged cannot either, colours excepted', async (t) => {
  if (spawnSync('script', ['-qec', 'true', '/dev/null']).status !== 0)
    return t.skip('there is no terminal to be had here');
  const box = await sandbox(t);
  const script = box.write('evil.js', `console.log(${JSON.stringify(EVIL)}); setInterval(() => {}, 1e6);`);
  await box.ok('start', script, '--name', 'evil');
  await box.logged('evil-out.log', 'written');
  const cli = join(process.cwd(), 'dist', 'upkeep.cjs');
  for (const raw of ['', ' --raw']) {
    const command = `${NODE} ${cli} logs evil --nostream${raw}`;
    const shown = execFileSync('script', ['-qec', command, '/dev/null'], { encoding: 'utf8', env: box.env });
    // The terminal itself ends lines so.
    const lines = shown.replaceAll('\r\n', '\n');
    assert.ok(lines.includes(`${ESC}[31mred`));
    assert.doesNotMatch(withoutColours(lines), COMMANDS);
  }
  // A program that reads gets what is there.
  assert.equal((await box.ok('logs', 'evil', '--nostream', '--raw')).stdout, `${EVIL}\n`);
});

const STRANGER = 54_321;
const root = process.getuid?.() === 0 ? {} : { skip: 'only root can make links of others' };

test('links that others have put in the way are not followed', root, async (t) => {
  const box = await sandbox(t);
  const open = join(box.cwd, 'open');
  mkdirSync(open);
  chmodSync(open, 0o1777);
  const precious = box.write('precious', 'kept\n');
  const trap = (name: string): string => {
    symlinkSync(precious, join(open, name));
    lchownSync(join(open, name), STRANGER, STRANGER);
    return join(open, name);
  };
  const start = ['start', fixture('prints-lines.js'), '--name', 'app'];
  const refused = await box.fails(...start, '--output', trap('out.log'), '--max-restarts', '1');
  assert.match(
    refused.stderr,
    /cannot write the log file .*: .* is a symbolic link of user 54321, and is not followed\n.*next:/,
  );
  await box.ok('delete', 'app');

  // Somebody puts a link in the place of a log that is there.
  const log = join(open, 'later.log');
  const pidFile = trap('app.pid');
  await box.ok(...start, '--output', log, '--pid', pidFile);
  await until(() => readFileSync(log, 'utf8').includes('out'), 'lines in the log');
  assert.equal(readFileSync(pidFile, 'utf8').trim(), String((await box.rows())[0]?.pid));
  execFileSync('rm', [log]);
  trap('later.log');
  assert.match((await box.fails('flush', 'app')).stderr, /is a symbolic link of user 54321/);
  await box.ok('delete', 'app');
  assert.equal(readFileSync(precious, 'utf8'), 'kept\n');
});

test('a log that is a named pipe without a reader holds nobody up', async (t) => {
  const box = await sandbox(t);
  const pipe = join(box.cwd, 'pipe');
  execFileSync('mkfifo', [pipe]);
  await box.ok('start', fixture('idles.js'), '--name', 'other');
  const start = ['start', fixture('idles.js'), '--name', 'app', '--max-restarts', '1', '--output', pipe];
  assert.match(
    (await box.fails(...start)).stderr,
    /cannot write the log file .*pipe: it is a named pipe that nobody reads/,
  );
  writeFileSync(join(box.cwd, 'plain'), '');
  assert.equal((await box.app('other'))[0]?.state.kind, 'online');
});
