import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fixture, NODE, sandbox } from './harness.ts';
import { AS_NOBODY, noOtherUser, OF_NOBODY } from './nobody.ts';

const mode = (path: string) => (statSync(path).mode & 0o777).toString(8);

/** Where root's apps that are another user by now come back to, with a secret that is theirs alone (docs/adoption.md). */
const isDoor = (path: string): boolean => /\/attach-\w+(\/s)?$/.test(path);

test('the home is for its owner only, whatever the umask', async (t) => {
  const before = process.umask(0);
  t.after(() => process.umask(before));
  const box = await sandbox(t);
  await box.ok('start', fixture('prints-lines.js'), '--name', 'one', '--', '1');
  await box.ok('start', fixture('port-zero.js'), '--name', 'two', '-i', '2');
  await box.ok(
    'start',
    fixture('idles.js'),
    '--name',
    'three',
    '-o',
    join(box.cwd, 'deep/out.log'),
    '--pid',
    'own.pid',
  );
  await box.logged('one-error.log', 'err 1');

  const wrong: string[] = [];
  const look = (path: string): void => {
    const stat = statSync(path);
    const wanted = stat.isDirectory() ? '700' : '600';
    if (mode(path) !== wanted && !isDoor(path)) wrong.push(`${path} is ${mode(path)}`);
    if (stat.isDirectory()) for (const entry of readdirSync(path)) look(join(path, entry));
  };
  look(box.home);
  assert.deepEqual(wrong, []);
  assert.equal(mode(join(box.cwd, 'deep/out.log')), '600');
  const sockets = readdirSync(join(box.home, 'run')).filter((name) => name.endsWith('.sock'));
  assert.equal(sockets.length, 3, 'one of the daemon, one of each supervisor');
});

test("the daemon's own environment holds no secrets of the shell that started it", async (t) => {
  if (process.platform !== 'linux') return t.skip('there is no /proc');
  const box = await sandbox(t);
  box.env['DATABASE_PASSWORD'] = 'hunter2';
  await box.ok('start', fixture('port-zero.js'), '-i', '1');
  for (const pid of [await box.daemonPid(), ...box.supervisors()]) {
    assert.doesNotMatch(readFileSync(`/proc/${pid}/environ`, 'latin1'), /hunter2/);
  }
  assert.doesNotMatch(readFileSync(join(box.home, 'daemon.log'), 'utf8'), /hunter2/);
});

/** Tries everything in a folder; prints what worked. */
const INTRUDER = `
  const { accessSync, constants, readdirSync, readFileSync, statSync } = require('node:fs');
  const { connect } = require('node:net');
  const { join } = require('node:path');
  const worked = (what, path) => console.log(what + ' ' + path);
  const attempt = (what, path, action) => { try { action(); worked(what, path); } catch {} };
  for (const path of process.argv.slice(1)) {
    attempt('write', path, () => accessSync(path, constants.W_OK));
    attempt('read', path, () => readFileSync(path));
    attempt('list', path, () => readdirSync(path));
    if (path.endsWith('.sock')) connect(path).on('connect', function () { worked('connect', path); this.destroy(); }).on('error', () => {});
  }
`;

test('another user gets nowhere, even with the folders wide open', { skip: noOtherUser() }, async (t) => {
  const box = await sandbox(t, { open: true });
  await box.ok('start', fixture('prints-lines.js'), '--name', 'one', '--', '1');
  await box.ok('start', fixture('port-zero.js'), '--name', 'two', '-i', '1', '--pid', join(box.home, 'run/two.pid'));
  await box.logged('one-error.log', 'err 1');
  const [program = '', ...args] = AS_NOBODY;
  const all = readdirSync(box.home, { recursive: true, encoding: 'utf8' })
    .map((entry) => join(box.home, entry))
    .filter((path) => !isDoor(path));
  const kinds = [
    /daemon\.sock$/,
    /supervisor-.*\.sock$/,
    /\.fifo$/,
    /state\.json$/,
    /status\.json$/,
    /-out\.log$/,
    /daemon\.log$/,
    /two\.pid$/,
    /\.bin$/,
  ];
  for (const kind of kinds)
    assert.ok(
      all.some((path) => kind.test(path)),
      String(kind),
    );
  const intrude = (): string => {
    const { stdout, stderr } = spawnSync(program, [...args, NODE, '-e', INTRUDER, ...all], {
      encoding: 'utf8',
      cwd: '/',
    });
    assert.equal(stderr, '');
    return stdout;
  };
  assert.equal(intrude(), '');
  const folders = [box.home, ...all.filter((path) => statSync(path).isDirectory())];
  for (const folder of folders) chmodSync(folder, 0o755);
  assert.deepEqual(intrude().replace(/^list .*\n/gm, ''), '');
  // The next command notices.
  const { stderr } = await box.ok('start', fixture('idles.js'));
  assert.match(stderr, /was open to other users \(mode 755\), and is not any more/);
  assert.deepEqual(
    folders.filter((folder) => mode(folder) !== '700'),
    [],
  );
});

test('the home of another user is refused', { skip: noOtherUser() }, async (t) => {
  const box = await sandbox(t, OF_NOBODY);
  await box.ok('start', fixture('idles.js'), '--name', 'app');
  const asRoot = (...args: string[]) =>
    spawnSync(NODE, [join(process.cwd(), 'dist', 'upkeep.cjs'), ...args], { encoding: 'utf8', env: box.env });
  for (const args of [['list'], ['start', fixture('idles.js')], ['kill'], ['jlist']]) {
    const { status, stdout, stderr } = asRoot(...args);
    assert.deepEqual([status, stdout], [1, '']);
    assert.match(stderr, /belongs to user 65534, and this command to user 0\n.*sudo -u '#65534' upkeep/);
  }
  const cached = readdirSync(join(box.home, 'cache')).filter(
    (entry) => statSync(join(box.home, 'cache', entry)).uid === 0,
  );
  assert.deepEqual(cached, [], 'what root has written there');
  await box.ok('kill');
  chownSync(box.home, 0, 0);
  const other = await box.fails('list');
  chownSync(box.home, 65_534, 65_534);
  assert.match(other.stderr, /permission|belongs to user 0/i);
});
