import assert from 'node:assert/strict';
import { chownSync, existsSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fixture, type Sandbox, sandbox } from './harness.ts';
import { NOBODY, noOtherUser } from './nobody.ts';
import { get } from './requests.ts';
import { until } from './until.ts';

const USERS = [
  ['the user of upkeep', null, {}],
  ['another user', 'nobody', { skip: noOtherUser() }],
] as const;

/** Starts two workers, which share a socket at a path that each of them removes before. */
async function start(box: Sandbox, more: object): Promise<string> {
  const folder = join(box.cwd, 'own');
  mkdirSync(folder);
  if ('uid' in more) chownSync(folder, NOBODY, NOBODY);
  const socket = join(folder, 'app.sock');
  box.env['SOCKET'] = socket;
  const app = { name: 'app', script: fixture('unlinks-socket.js'), instances: 2, ...more };
  await box.ok('start', box.write('eco.json', JSON.stringify({ apps: [app] })));
  return socket;
}

async function killSupervisors(box: Sandbox): Promise<void> {
  const before = box.supervisors();
  for (const pid of before) process.kill(pid, 'SIGKILL');
  await until(() => box.supervisors().some((pid) => !before.includes(pid)), 'another supervisor');
  await until(async () => (await box.upkeep('sendSignal', 'SIGCONT', 'all')).code === 0, 'an answer');
}

for (const balance of ['auto', 'rr']) {
  for (const [who, uid, options] of USERS) {
    test(`${balance}: a path leads to the app that removes it at each start, as ${who}`, options, async (t) => {
      const box = await sandbox(t, { open: true });
      const socketPath = await start(box, { balance, ...(uid ? { uid } : {}) });
      const answers = async (when: string): Promise<void> => {
        assert.match((await get({ socketPath })).body, /^pid /, when);
        assert.equal(statSync(socketPath).mode & 0o777, 0o666, when);
      };
      await answers('from the start');
      for (const { pid } of await box.rows()) {
        process.kill(pid ?? 0, 'SIGKILL');
        await until(
          async () => (await box.rows()).every((row) => row.state.kind === 'online' && row.pid !== pid),
          'both',
        );
        await answers('after a crash');
      }
      await box.ok('reload', 'app');
      await answers('after a reload');
      rmSync(socketPath);
      await until(() => existsSync(socketPath), 'the path to be there again');
      await answers('after somebody removed it');
      if (!uid) {
        await killSupervisors(box);
        rmSync(socketPath);
        await until(() => existsSync(socketPath), 'the path to be there again');
        await answers('under the next supervisor');
        await box.ok('reload', 'app');
        await answers('after a reload of that one');
      }
      await box.ok('restart', 'app');
      await answers('after a restart');
      await box.ok('stop', 'app');
      assert.deepEqual(readdirSync(join(box.cwd, 'own')), []);
      assert.doesNotMatch(box.log('app-error-0.log') + box.log('app-error-1.log'), /ENOENT|EADDRINUSE/);
    });
  }

  test(`${balance}: also where each start makes its folder anew`, async (t) => {
    const box = await sandbox(t);
    box.env['FOLDER'] = 'yes';
    const socketPath = await start(box, { balance, instances: 1 });
    for (let round = 0; round < 3; round++) {
      await box.ok('reload', 'app');
      for (let count = 0; count < 4; count++) assert.match((await get({ socketPath })).body, /^pid /);
    }
    await box.ok('stop', 'app');
    assert.deepEqual(readdirSync(join(box.cwd, 'own')), []);
  });
}

test('what another program serves there is neither taken nor removed', async (t) => {
  const box = await sandbox(t);
  const socketPath = await start(box, { kill_signal: 'SIGTERM' });
  box.write(
    'other.js',
    `process.chdir('own'); require('node:fs').unlinkSync('app.sock');
    require('node:http').createServer((_, response) => response.end('other')).listen('app.sock')`,
  );
  // At once: else the app's socket is there again.
  await until(async () => {
    await box.upkeep('delete', 'other');
    await box.upkeep('start', 'other.js', '--max-restarts', '1');
    const answer = await get({ socketPath }).catch(() => null);
    return answer?.body === 'other';
  }, 'the other program to have the path');
  // By a signal that it does not handle.
  await box.ok('delete', 'app');
  assert.equal((await get({ socketPath })).body, 'other');
});
