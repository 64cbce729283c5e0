import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { AdoptedChild } from '../../src/platform/adopted-child.ts';
import { readProcess } from '../../src/platform/process-table.ts';

test('a process that was taken over is signalled, and one that has got its pid is not', async (t) => {
  const process = spawn('sleep', ['100'], { stdio: 'ignore' });
  t.after(() => process.kill('SIGKILL'));
  await once(process, 'spawn');
  const pid = process.pid as number;
  const stranger = new AdoptedChild(pid, 'another time', false);
  assert.equal(stranger.kill('SIGKILL'), false);
  stranger.leave();
  assert.equal(readProcess(pid)?.zombie, false);

  const own = new AdoptedChild(pid, readProcess(pid)?.startTime ?? '', false);
  const exit = once(process, 'exit');
  assert.equal(own.kill('SIGTERM'), true);
  own.leave();
  assert.deepEqual(await exit, [null, 'SIGTERM']);
});
