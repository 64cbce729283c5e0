import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { sandbox } from './harness.ts';
import { NOBODY, noOtherUser } from './nobody.ts';
import { until } from './until.ts';

const ENDS_WITH_STDIN = `process.stdin.on('end', () => process.exit(9)).on('data', (text) => console.log('read ' + text));
  console.log('up');`;
const MODES = [
  ['fork', [], 'app-out.log'],
  ['cluster', ['-i', '1', '--listen-timeout', '100'], 'app-out-0.log'],
] as const;

for (const [mode, flags, log] of MODES) {
  test(`${mode} mode: stdin stays open, also when the supervisor is gone`, async (t) => {
    const box = await sandbox(t);
    box.write('app.js', ENDS_WITH_STDIN);
    await box.ok('start', 'app.js', ...flags);
    const [before] = await box.rows();
    const supervisors = box.supervisors();
    for (const pid of supervisors) process.kill(pid, 'SIGKILL');
    await until(() => box.supervisors().some((pid) => !supervisors.includes(pid)), 'another supervisor');
    await until(async () => (await box.upkeep('sendSignal', 'SIGCONT', 'all')).code === 0, 'an answer');
    const [after] = await box.rows();
    assert.deepEqual([after?.pid, after?.state.kind], [before?.pid, 'online']);
    await box.ok('restart', 'app');
    const [again] = await box.rows();
    assert.equal(again?.state.kind, 'online');
    if (process.platform !== 'linux') return;
    writeFileSync(`/proc/${again?.pid}/fd/0`, 'a line\n');
    await box.logged(log, 'read a line\n');
  });
}

test('a program that ends at the end of its input stays', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', 'cat', '--name', 'cat');
  assert.equal((await box.rows())[0]?.state.kind, 'online');
});

test('an app of another user may open its stdin anew', { skip: noOtherUser() }, async (t) => {
  const box = await sandbox(t, { open: true });
  await box.ok('start', 'exec cat /dev/stdin', '--name', 'cat', '--uid', String(NOBODY));
  const [row] = await box.rows();
  assert.deepEqual([row?.state.kind, row?.restarts], ['online', 0]);
});
