import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fixture, type Sandbox, sandbox } from './harness.ts';
import { commandLine, isAlive, processesWith } from './processes.ts';
import { get } from './requests.ts';
import { until } from './until.ts';

const supervisors = (box: Sandbox): number[] =>
  processesWith(box.home).filter((pid) => commandLine(pid).startsWith('upkeep supervisor'));

async function startBoth(box: Sandbox): Promise<number[]> {
  await box.ok('start', fixture('counts-requests.js'), '--name', 'web', '-i', '2');
  await box.ok('start', fixture('ignores-sigint.js'), '--name', 'job', '--kill-timeout', '200');
  return (await box.rows()).map(({ pid }) => pid as number);
}

test('SIGTERM to all processes at once, as of a machine that goes down: all end, and nothing is started again', async (t) => {
  const box = await sandbox(t);
  const apps = await startBoth(box);
  const all = [await box.daemonPid(), ...supervisors(box), ...apps];
  for (const pid of all) process.kill(pid, 'SIGTERM');
  await until(
    () => processesWith(box.home).length === 0 && !all.some(isAlive),
    'the end of all',
    () => processesWith(box.home).map(commandLine).join('; '),
  );
  // What is wanted is so still.
  await box.ok('start', 'all');
  assert.deepEqual(
    (await box.rows()).map(({ name, state }) => [name, state.kind]),
    [
      ['web', 'online'],
      ['web', 'online'],
      ['job', 'online'],
    ],
  );
});

test('SIGTERM to the supervisors alone: their apps are stopped, and the daemon starts them again', async (t) => {
  const box = await sandbox(t);
  const apps = await startBoth(box);
  const before = supervisors(box);
  for (const pid of before) process.kill(pid, 'SIGTERM');
  await until(
    async () => (await box.rows()).every(({ pid, state }) => state.kind === 'online' && !apps.includes(pid as number)),
    'other processes',
    () => readFileSync(join(box.home, 'daemon.log'), 'utf8'),
  );
  assert.ok(!apps.some(isAlive), 'the former ones have ended');
  assert.ok(!before.some(isAlive));
  assert.equal((await get(box.port)).status, 200);
});
