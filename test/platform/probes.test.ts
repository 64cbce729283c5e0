import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { prober } from '../../src/platform/probes.ts';
import { appSpec } from '../fakes/app-spec.ts';

const LIMIT_MS = 30_000;
const linux = { skip: process.platform === 'linux' ? false : 'needs /proc' };

function ask(command: string, timeoutMs = LIMIT_MS): Promise<string | null> {
  const target = {
    spec: appSpec(),
    env: { PATH: process.env['PATH'] ?? '' },
    connect: () => Promise.reject(new Error('no connection is needed')),
  };
  return prober.ask({ kind: 'command', command }, target, timeoutMs);
}

test('a command is well by its exit code, and its last line is the reason', async () => {
  assert.equal(await ask('echo fine'), null);
  assert.match((await ask('echo bad; echo worse >&2; exit 3')) ?? '', /: code 3, worse$/);
  assert.match((await ask('sleep 1000', 50)) ?? '', /: no answer within 50 ms$/);
});

test('what a command leaves behind does not hold up its answer, and takes no descriptor', linux, async () => {
  const descriptors = (): number => readdirSync('/proc/self/fd').length;
  // The shell has what it needs from here on.
  await ask('true');
  const before = descriptors();
  for (let round = 0; round < 3; round++) {
    // In the group of the command, which is ended with it, and out of it, where nothing but time ends it.
    assert.equal(await ask('sleep 1000 & exit 0'), null);
    assert.equal(await ask('setsid sleep 2 & exit 0'), null);
    assert.match((await ask('setsid sleep 2 & sleep 1000', 50)) ?? '', /no answer/);
  }
  assert.equal(descriptors(), before);
});
