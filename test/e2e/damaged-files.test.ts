import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fixture, type Sandbox, sandbox } from './harness.ts';
import { until } from './until.ts';

/** What may be found in the place of a file that was whole. */
function damages(whole: Buffer): readonly (Buffer | 'a folder')[] {
  const flipped = [0.1, 0.3, 0.5, 0.7, 0.9].map((share) => {
    const bytes = Buffer.from(whole);
    const at = Math.floor(whole.length * share);
    bytes[at] = (bytes[at] as number) ^ 4;
    return bytes;
  });
  const half = whole.subarray(0, whole.length / 2);
  return [...flipped, half, Buffer.alloc(0), Buffer.alloc(whole.length), Buffer.from('nonsense'), 'a folder'];
}

function put(path: string, content: Buffer | 'a folder'): void {
  rmSync(path, { recursive: true, force: true });
  if (content === 'a folder') mkdirSync(join(path, 'in the way'), { recursive: true });
  else writeFileSync(path, content, { mode: 0o600 });
}

test('a damaged code cache is as good as none', async (t) => {
  const box = await sandbox(t);
  const folder = join(box.home, 'cache');
  await box.ok('list');
  for (const args of [['help'], ['list']]) {
    const { stdout } = await box.ok(...args);
    const name = readdirSync(folder).find((entry) => entry.startsWith(args[0] === 'list' ? 'looking-' : 'cli-')) ?? '';
    const whole = readFileSync(join(folder, name));
    for (const damage of damages(whole)) {
      put(join(folder, name), damage);
      const result = await box.ok(...args);
      assert.deepEqual([result.stdout, result.stderr], [stdout, '']);
      // Also a folder in its place, which is in the way of a file.
      assert.ok(readFileSync(join(folder, name)).length > 1000, 'it is made anew');
    }
  }
});

test('a damaged status file is as good as none', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', fixture('idles.js'), '--name', 'one');
  const path = join(box.home, 'run', 'status.json');
  const whole = readFileSync(path);
  for (const damage of damages(whole)) {
    put(path, damage);
    const { stdout, stderr } = await box.ok('list');
    assert.match(stdout, /│ +0 │ one +│ fork +│ +\d+ │ .*online/);
    assert.equal(stderr, '');
  }
  await box.ok('restart', 'one');
  assert.match((await box.ok('list')).stdout, /online/);
});

test('damaged locks are nobody`s', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', fixture('idles.js'), '--name', 'one');
  const [before] = await box.rows();
  for (const damage of damages(readFileSync(join(box.home, 'run', 'daemon.lock')))) {
    await endDaemon(box, () => put(join(box.home, 'run', 'daemon.lock'), damage));
    assert.equal((await box.rows())[0]?.pid, before?.pid);
    assert.ok(JSON.parse(readFileSync(join(box.home, 'run', 'daemon.lock'), 'utf8')));
  }
  await box.ok('kill');
  for (const damage of damages(Buffer.from('{"pid":1,"startTime":"1"}'))) {
    put(join(box.home, 'run', 'supervisor-shared.lock'), damage);
    await box.ok('start', fixture('idles.js'), '--name', 'one');
    await box.ok('kill');
  }
});

/** Kills the daemon; a supervisor starts another one, which finds what `meanwhile` has done, or an earlier one has. */
async function endDaemon(box: Sandbox, meanwhile: () => void): Promise<void> {
  const daemon = await box.daemonPid();
  process.kill(daemon, 'SIGKILL');
  meanwhile();
  await until(async () => (await box.daemonPid()) !== daemon, 'another daemon');
}
