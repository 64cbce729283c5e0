import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fixture, sandbox } from './harness.ts';

const mode = (path: string) => (statSync(path).mode & 0o777).toString(8);

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
    if (mode(path) !== wanted) wrong.push(`${path} is ${mode(path)}`);
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
