import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { blockedStack } from '../../src/platform/blocked-stack.ts';
import { readProcess } from '../../src/platform/process-table.ts';

test('a process that has got the pid of an app is not signalled', async (t) => {
  const stranger = spawn('sleep', ['100'], { stdio: 'ignore' });
  t.after(() => stranger.kill('SIGKILL'));
  await once(stranger, 'spawn');
  const pid = stranger.pid as number;
  await assert.rejects(blockedStack(pid, 'another time'), { message: 'it has ended' });
  await assert.rejects(blockedStack(2 ** 30, 'another time'), { message: 'it has ended' });
  assert.equal(readProcess(pid)?.zombie, false);
  assert.deepEqual([stranger.exitCode, stranger.signalCode], [null, null]);
});
