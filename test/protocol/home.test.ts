import assert from 'node:assert/strict';
import { statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { makeHome, resolveHome, supervisorLock, supervisorSocket } from '../../src/protocol/home.ts';
import { tempFolder } from '../fakes/temp-folder.ts';

describe('resolveHome', () => {
  test('is UPKEEP_HOME, else .upkeep in HOME', () => {
    assert.equal(resolveHome({ UPKEEP_HOME: '/srv/up', HOME: '/home/me' }).root, '/srv/up');
    assert.equal(resolveHome({ HOME: '/home/me' }).root, '/home/me/.upkeep');
    assert.equal(resolveHome({ UPKEEP_HOME: '', HOME: '/home/me' }).root, '/home/me/.upkeep');
    assert.equal(resolveHome({}).root, '/.upkeep');
  });

  test('puts everything below its root', () => {
    for (const path of Object.values(resolveHome({ UPKEEP_HOME: '/srv/up' }))) assert.match(path, /^\/srv\/up/);
  });

  test('refuses a relative path, which would mean another folder in each process', () => {
    assert.throws(() => resolveHome({ UPKEEP_HOME: 'up' }), {
      code: 'HOME_UNUSABLE',
      message: 'UPKEEP_HOME must be an absolute path, got "up"',
    });
  });

  test('refuses a path that is too long for sockets, counted in bytes', () => {
    assert.doesNotThrow(() => resolveHome({ UPKEEP_HOME: `/${'x'.repeat(71)}` }));
    const refused = { code: 'HOME_UNUSABLE', message: /at most 72 bytes/ };
    assert.throws(() => resolveHome({ UPKEEP_HOME: `/${'x'.repeat(72)}` }), refused);
    assert.throws(() => resolveHome({ UPKEEP_HOME: `/${'ü'.repeat(36)}` }), refused);
  });

  test('the longest path that is allowed can hold a socket', async (t) => {
    const folder = tempFolder(t);
    const root = join(folder, 'x'.repeat(72 - folder.length - 1));
    const home = resolveHome({ UPKEEP_HOME: root });
    makeHome(home);
    const server = createServer();
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(supervisorSocket(home, '0000000000'), resolve);
    });
    server.close();
  });
});

test('each supervisor has a socket and a lock of its own', () => {
  const home = resolveHome({ UPKEEP_HOME: '/srv/up' });
  assert.equal(supervisorSocket(home, 'shared'), '/srv/up/run/supervisor-shared.sock');
  assert.equal(supervisorLock(home, 'shared'), '/srv/up/run/supervisor-shared.lock');
});

describe('makeHome', () => {
  test('makes folders for the owner only, and may be called again', (t) => {
    const home = resolveHome({ UPKEEP_HOME: join(tempFolder(t), 'home') });
    makeHome(home);
    makeHome(home);
    for (const folder of [home.root, home.run, home.logs]) assert.equal(statSync(folder).mode & 0o777, 0o700, folder);
  });

  test('says which home cannot be made', (t) => {
    const file = join(tempFolder(t), 'file');
    writeFileSync(file, '');
    assert.throws(() => makeHome(resolveHome({ UPKEEP_HOME: join(file, 'home') })), {
      code: 'HOME_UNUSABLE',
      message: /cannot make .*file\/home: .*file is no folder/,
    });
  });
});
