import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fixture, NODE, sandbox } from './harness.ts';
import { noOtherUser } from './nobody.ts';
import { commandLine, processesWith } from './processes.ts';
import { until } from './until.ts';

const NUMBERS = [3, 15, 16, 201, 999];

/** What processes have open of a folder. */
function openIn(folder: string, pids: readonly number[]): string[] {
  return pids.flatMap((pid) => {
    try {
      const links = readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
      return links.filter((link) => link.startsWith(folder)).map((link) => `${link} in ${commandLine(pid)}`);
    } catch {
      return [];
    }
  });
}

test('what a command has open is not handed on', { skip: process.platform !== 'linux' && 'needs /proc' }, async (t) => {
  const box = await sandbox(t);
  const secret = box.write('secret/text', 'secret');
  const cli = join(process.cwd(), 'dist', 'upkeep.cjs');
  const folder = join(box.cwd, 'secret');
  const opened = NUMBERS.map((fd) => `${fd}<${secret}`).join(' ');
  const call = (command: string) => {
    const script = `exec ${opened}; flock -n 200 || exit 9; ${command}`;
    const { status, stderr } = spawnSync('bash', ['-c', `( ${script} ) 200>${folder}/lock`], {
      cwd: box.cwd,
      env: box.env,
      encoding: 'utf8',
    });
    assert.equal(status, 0, stderr);
  };
  const other = noOtherUser() ? '' : `&& ${NODE} ${cli} start /bin/sleep --name other --uid nobody --cwd / -- 1000`;
  call(`${NODE} ${cli} start ${fixture('idles.js')} && ${NODE} ${cli} start ${fixture('http-hello.js')} -i 2 ${other}`);
  const apps = (await box.rows()).map(({ pid }) => pid ?? 0);
  const all = [...new Set([...processesWith(box.home), ...apps])];
  assert.ok(all.length >= 6, `${all.length} processes`);
  assert.deepEqual(openIn(folder, all), []);
  // The lock is free.
  call('true');

  process.kill(await box.daemonPid(), 'SIGKILL');
  call(`${NODE} ${cli} restart all`);
  assert.deepEqual(openIn(folder, processesWith(box.home)), []);
});

test('a daemon in the foreground hands on nothing either', {
  skip: process.platform !== 'linux' && 'needs /proc',
}, async (t) => {
  const box = await sandbox(t);
  const secret = box.write('secret/text', 'secret');
  const daemon = join(process.cwd(), 'dist', 'daemon.cjs');
  const launcher = box.write('launcher', '');
  const opened = NUMBERS.map((fd) => `${fd}<${secret}`).join(' ');
  const script = `exec ${opened}; exec ${NODE} ${daemon} ${box.home} kept ${launcher}`;
  const kept = spawn('bash', ['-c', script], { env: box.env, stdio: 'ignore' });
  t.after(async () => {
    if (kept.exitCode === null && kept.kill('SIGKILL')) await once(kept, 'exit');
  });
  await until(async () => (await box.upkeep('ping')).code === 0 && (await box.daemonPid()) === kept.pid, 'the daemon');
  await box.ok('start', fixture('idles.js'));
  const apps = (await box.rows()).map(({ pid }) => pid ?? 0);
  const others = [...box.supervisors(), ...apps];
  assert.equal(others.length, 2);
  assert.deepEqual(openIn(join(box.cwd, 'secret'), others), []);
});
