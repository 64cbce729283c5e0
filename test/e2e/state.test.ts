import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fixture, NODE, sandbox } from './harness.ts';
import { isAlive } from './processes.ts';
import { get } from './requests.ts';
import { until } from './until.ts';

const aside = (home: string) => readdirSync(home).filter((entry) => entry.includes('.bad-'));

test('a list of apps that is damaged ends nothing that runs, and is told until it was seen to', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', fixture('http-hello.js'), '--name', 'web', '-i', '2');
  await box.ok('start', fixture('idles.js'), '--name', 'later');
  const before = (await box.rows()).map(({ id, pid }) => [id, pid]);
  const daemon = await box.daemonPid();
  for (const file of ['state.json', 'state.json.1']) writeFileSync(join(box.home, file), '{}');
  process.kill(daemon, 'SIGKILL');
  await until(async () => (await box.daemonPid()) !== daemon, 'another daemon');

  for (const args of [['list'], ['list', '--json'], ['ping'], ['describe', 'web']]) {
    const { stderr } = await box.ok(...args);
    assert.match(
      stderr,
      /^upkeep: the list of apps may be incomplete: (\S+\.bad-\S+ (and )?){2}could not be read\. See that /m,
    );
  }
  assert.deepEqual(
    (await box.rows()).map(({ id, pid }) => [id, pid]),
    before,
  );
  assert.equal((await get(box.port)).status, 200);
  const kept = aside(box.home);
  assert.equal(kept.length, 2, String(kept));
  for (const file of kept) assert.equal(readFileSync(join(box.home, file), 'utf8'), '{}');
  for (const file of kept) rmSync(join(box.home, file));
  assert.equal((await box.ok('list', '--json')).stderr, '');
});

test('a list of apps that a newer upkeep wrote is not overwritten, and its absence is told', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', fixture('idles.js'), '--name', 'one');
  await box.ok('kill');
  const { createHash } = await import('node:crypto');
  const text = JSON.stringify({ format: 99, apps: { one: {} } });
  const newer = `${createHash('sha256').update(text).digest('hex')}\n${text}\n`;
  const path = join(box.home, 'state.json');
  writeFileSync(path, newer);
  rmSync(`${path}.1`);
  const { stdout, stderr } = await box.ok('list');
  assert.match(
    stderr,
    /^upkeep: the list of apps may be incomplete: \S+ was written by a newer upkeep; .* keeps that file aside$/m,
  );
  assert.match(stdout, /No apps yet/);
  assert.equal(readFileSync(path, 'utf8'), newer);
  assert.match(
    readFileSync(join(box.home, 'daemon.log'), 'utf8'),
    /was written by a newer upkeep; there is no older one/,
  );
  await box.ok('start', fixture('idles.js'), '--name', 'two');
  const [file = ''] = aside(box.home);
  assert.equal(readFileSync(join(box.home, file), 'utf8'), newer);
});

test('on a full disk, what cannot be saved is not started and said; what is to end ends; then all goes on', async (t) => {
  const box = await sandbox(t);
  const home = mkdtempSync(join(tmpdir(), 'uk-full-'));
  t.after(() => {
    spawnSync('umount', ['-l', home]);
    rmSync(home, { recursive: true, force: true });
  });
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=2m,mode=700', 'none', home]).status !== 0) {
    return t.skip('needs root, and the right to mount a small disk');
  }
  box.env['UPKEEP_HOME'] = home;
  await box.ok('start', fixture('idles.js'), '--name', 'one');
  await box.ok('start', fixture('idles.js'), '--name', 'other');
  const [one, other] = await box.rows();
  fill(join(home, 'filler'));

  const full = /cannot be saved: ENOSPC: no space left on device/;
  const refused = await box.fails('start', fixture('idles.js'), '--name', 'two');
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, full);
  assert.match(refused.stderr, /next: nothing was done: make room/);
  const listed = await box.ok('list');
  assert.match(listed.stderr, /^upkeep: the list of apps is not saved: ENOSPC/m);
  assert.doesNotMatch(listed.stdout, /two/);
  assert.deepEqual(
    (await box.rows()).map(({ pid }) => pid),
    [one?.pid, other?.pid],
  );

  const stopped = await box.fails('stop', 'one');
  assert.match(stopped.stderr, /it was done, but the list of apps cannot be saved: ENOSPC/);
  assert.ok(!isAlive(one?.pid ?? 0));

  rmSync(join(home, 'filler'));
  await until(async () => (await box.ok('list', '--json')).stderr === '', 'the list to be saved');
  const daemon = await box.daemonPid();
  process.kill(daemon, 'SIGKILL');
  await until(async () => (await box.daemonPid()) !== daemon, 'another daemon');
  const rows = (await box.rows()).map(({ name, pid, state }) => [name, pid, state.kind]);
  assert.deepEqual(rows, [
    ['one', null, 'stopped'],
    ['other', other?.pid, 'online'],
  ]);
  await box.ok('start', fixture('idles.js'), '--name', 'two');
});

/** Fills a disk to its last byte. */
function fill(path: string): void {
  const fd = openSync(path, 'w');
  try {
    for (const size of [65_536, 4096, 1]) {
      try {
        for (;;) writeSync(fd, Buffer.alloc(size));
      } catch (error) {
        assert.equal((error as NodeJS.ErrnoException).code, 'ENOSPC');
      }
    }
  } finally {
    closeSync(fd);
  }
}

test('a save that hangs keeps nobody from looking', async (t) => {
  if (spawnSync('strace', ['-o', '/dev/null', 'true']).status !== 0) return t.skip('needs strace, and to be let trace');
  const box = await sandbox(t);
  mkdirSync(box.home, { mode: 0o700 });
  const slow = ['-f', '-o', '/dev/null', '-e', 'trace=fsync', '-e', 'inject=fsync:delay_enter=1000000'];
  const daemon = spawn('strace', [...slow, NODE, join(process.cwd(), 'dist', 'daemon.cjs'), box.home], {
    env: {},
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  t.after(() => daemon.kill('SIGKILL'));
  await until(() => existsSync(join(box.home, 'run', 'daemon.sock')), 'the daemon to listen');
  let started = false;
  const starting = box.ok('start', fixture('idles.js'), '--name', 'one').then(() => {
    started = true;
  });
  let looked = 0;
  await until(async () => {
    const { stdout } = await box.ok('list', '--json');
    await box.ok('ping');
    if (!started) looked++;
    return started || (looked > 2 && stdout.includes('"one"'));
  }, 'the app in the list');
  assert.equal(started, false, 'the list was there while the save was under way');
  await starting;
});
