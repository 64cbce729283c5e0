import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { startCommand } from './commands.ts';
import { fixture, NODE, type Sandbox, sandbox } from './harness.ts';
import { checkLines, upTo, wholeLog } from './log-files.ts';
import { until } from './until.ts';

const LINES = 120_000;
/** All is kept, so that it can be counted. */
const SMALL_FILES = [
  '--log-max-size',
  '500k',
  '--log-retain',
  'all',
  '--log-max-total',
  '0',
  '--log-max-total-all',
  '0',
];

const rotated = (box: Sandbox, name: string): readonly string[] =>
  readdirSync(join(box.home, 'logs')).filter((file) => file.startsWith(`${name}.2`) && !file.endsWith('.part'));

for (const chunk of [0, 10_000])
  test(`rotation under load loses, doubles and tears nothing, and a follower sees it all; writes of ${chunk || 'a line'}`, async (t) => {
    const box = await sandbox(t);
    await box.ok('start', 'echo other; sleep 1000', '--name', 'other');
    await box.logged('other-out.log', 'other\n');
    const following = startCommand(box, ['logs', '--raw', '--out']);
    await until(() => following.stdout() === 'other\n', 'the follower');
    await box.ok(
      'start',
      fixture('writes-lines.js'),
      '--name',
      'app',
      ...SMALL_FILES,
      '--',
      String(LINES),
      String(chunk),
    );
    const log = join(box.home, 'logs', 'app-out.log');
    await until(() => rotated(box, 'app-out.log').length > 3, 'rotation');
    process.kill(await box.daemonPid(), 'SIGKILL');
    const last = `\n0 ${LINES} the quick`;
    await until(() => wholeLog(log).includes(last), 'the last line');
    const { numbers, notes } = checkLines(wholeLog(log));
    assert.deepEqual(numbers.get('0'), upTo(LINES));
    assert.deepEqual(notes, []);
    assert.ok(rotated(box, 'app-out.log').length > 15);
    await until(() => following.stdout().includes(last), 'the follower');
    assert.deepEqual(checkLines(following.stdout().replace('other\n', '')).numbers.get('0'), upTo(LINES));
    await following.interrupt();
  });

test('only so many are kept, and those are compressed and shown', async (t) => {
  const box = await sandbox(t);
  const flags = ['--log-max-size', '20k', '--log-retain', '3'];
  await box.ok('start', fixture('writes-lines.js'), '--name', 'app', ...flags, '--', '5000');
  await box.logged('app-out.log', ' 5000 the quick');
  const isOld = () => {
    const files = rotated(box, 'app-out.log');
    return files.length === 3 && files.every((file) => file.endsWith('.gz'));
  };
  await until(isOld, 'three compressed files', () => readdirSync(join(box.home, 'logs')).join('\n'));
  const { stdout } = await box.ok('logs', 'app', '--nostream', '--raw', '--lines', '600');
  const shown = checkLines(stdout).numbers.get('0') ?? [];
  assert.deepEqual(shown, upTo(5000).slice(-600));
  await box.ok('flush');
  assert.deepEqual(rotated(box, 'app-out.log'), []);
  assert.equal((await box.ok('logs', 'app', '--nostream')).stdout, '');
});

test('by default, logs are bounded, and describe tells how', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', 'sleep 1000', '--name', 'app');
  assert.match(
    (await box.ok('describe', 'app')).stdout,
    /logs rotate +above 20\.0 MB; kept: 10 of each, 1\.0 GB in all, gzip/,
  );
  await box.ok('start', 'sleep 1000', '--name', 'other', '--log-max-size', '0');
  assert.match((await box.ok('describe', 'other')).stdout, /logs rotate +never/);
});

test('a follower that is not read from slows nobody, and gets all when it is', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', 'echo other; sleep 1000', '--name', 'other');
  await box.logged('other-out.log', 'other\n');
  const args = [join(process.cwd(), 'dist', 'upkeep.cjs'), 'logs', '--raw', '--out'];
  const stuck = spawn(NODE, args, { cwd: box.cwd, env: box.env, stdio: ['ignore', 'pipe', 'inherit'] });
  assert.equal(String((await once(stuck.stdout, 'data'))[0]), 'other\n');
  stuck.stdout.pause();
  await box.ok('start', fixture('writes-lines.js'), '--name', 'app', ...SMALL_FILES, '--', '60000', '4096');
  const log = join(box.home, 'logs', 'app-out.log');
  await until(() => wholeLog(log).includes('\n0 60000 the'), 'all lines in the log');
  let text = '';
  stuck.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  stuck.stdout.resume();
  await until(
    () => text.includes('\n0 60000 the'),
    'all lines at the follower',
    () => text.slice(-500),
  );
  assert.deepEqual(checkLines(text).numbers.get('0'), upTo(60_000));
  stuck.kill('SIGINT');
  await once(stuck, 'close');
});

test('another program may move the files away, with reloadLogs or SIGUSR2, or without', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', 'while :; do echo tick; sleep 0.02; done', '--name', 'app');
  await box.ok('start', fixture('http-hello.js'), '--name', 'web', '-i', '1');
  const log = join(box.home, 'logs', 'app-out.log');
  const size = (path: string) => readFileSync(path).length;
  const ways: readonly (() => Promise<unknown>)[] = [
    () => box.ok('reloadLogs'),
    async () => process.kill(await box.daemonPid(), 'SIGUSR2'),
    async () => {},
  ];
  for (const [index, way] of ways.entries()) {
    await box.logged('app-out.log', 'tick\n');
    const moved = `${log}.${index}`;
    renameSync(log, moved);
    await way();
    await box.logged('app-out.log', 'tick\n');
    const after = size(moved);
    await box.logged('app-out.log', 'tick\ntick\n');
    assert.equal(size(moved), after, 'nothing more goes to the file that was moved');
  }
  rmSync(log);
  await box.logged('app-out.log', 'tick\n');
});

test('a disk that is full stops no app: what is lost is counted and told, and it recovers', async (t) => {
  if (process.platform !== 'linux' || process.getuid?.() !== 0)
    return t.skip('needs root, to mount a small file system');
  const box = await sandbox(t);
  const disk = join(box.cwd, 'disk');
  mkdirSync(disk);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', disk], { stdio: 'pipe' });
  } catch {
    return t.skip('may not mount here');
  }
  try {
    const filler = join(disk, 'filler');
    writeFileSync(filler, Buffer.alloc(200 * 1024));
    const log = join(disk, 'out.log');
    const app = ['start', fixture('writes-lines.js'), '--name', 'app', '-o', log, '--', '100000', '0', '1'];
    await box.ok(...app);
    const lost = async () => (await box.describe('app')).instances[0]?.lost;
    await until(async () => (await lost())?.because === 'no space left on the disk', 'lines that are lost');
    assert.match(
      (await box.ok('describe', 'app')).stdout,
      /lost +\d+ lines? of the logs, and what comes now: no space/,
    );
    rmSync(filler);
    await until(
      () => /were lost here/.test(wholeLog(log)),
      'the note',
      () => wholeLog(log).slice(-300),
    );
    await until(async () => (await lost())?.because === null, 'an end of it');
    await box.ok('stop', 'app');
    const { numbers, notes } = checkLines(wholeLog(log));
    const written = numbers.get('0') ?? [];
    const told = notes.map((note) => Number(/^upkeep: (\d+) lines? \(\d+ bytes\) were lost here/.exec(note)?.[1]));
    const missing = (written.at(-1) ?? 0) - written.length;
    assert.equal(
      told.reduce((sum, count) => sum + count, 0),
      missing,
      notes.join('\n'),
    );
    assert.ok(missing > 0);
  } finally {
    await box.upkeep('delete', 'all');
    execFileSync('umount', [disk]);
  }
});
