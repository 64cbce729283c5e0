import assert from 'node:assert/strict';
import { chownSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fixture, type Sandbox, sandbox } from './harness.ts';
import { NOBODY, noOtherUser } from './nobody.ts';
import { get } from './requests.ts';
import { until } from './until.ts';

const linux = process.platform === 'linux' ? {} : { skip: 'there is no /proc' };
const MODES = [
  ['fork', [], 'forger-out.log'],
  ['cluster', ['-i', '1', '--listen-timeout', '100'], 'forger-out-2.log'],
] as const;

/** An app that serves, and one that is not ready, beside those of a test. @returns what checks that nothing happened to them. */
async function bystanders(box: Sandbox): Promise<() => Promise<void>> {
  await box.ok('start', fixture('http-hello.js'), '--name', 'good');
  const waiting = ['start', fixture('idles.js'), '--name', 'victim', '--wait-ready', '--listen-timeout', '600000'];
  void box.run(waiting);
  const look = async () => {
    const rows = [...(await box.app('good')), ...(await box.app('victim'))];
    return rows.map(({ name, pid, restarts, state }) => ({ name, pid, restarts, state: state.kind }));
  };
  const before = await until(async () => {
    const rows = await look();
    return rows.length === 2 && rows.every(({ pid }) => pid !== null) && rows;
  }, 'both to run');
  assert.deepEqual(
    before.map(({ state }) => state),
    ['online', 'starting'],
  );
  const supervisors = box.supervisors().toSorted();
  return async () => {
    assert.deepEqual(await look(), before);
    assert.equal((await get(box.port)).status, 200);
    for (const pid of supervisors) assert.ok(box.supervisors().includes(pid), `supervisor ${pid} is gone`);
  };
}

for (const [mode, flags, log] of MODES) {
  const forge = async (box: Sandbox, ...ways: string[]) => {
    await box.run(['start', fixture('forges.js'), '--name', 'forger', ...flags, '--', ...ways]);
    await box.logged(log, 'done');
  };

  test(`${mode} mode: an app speaks for itself only`, async (t) => {
    const box = await sandbox(t);
    const unharmed = await bystanders(box);
    await forge(box, 'words', 'addresses');
    await unharmed();
    const [row] = await box.app('forger');
    assert.deepEqual([row?.restarts, row?.listens.length], [0, 100]);
  });

  test(`${mode} mode: what it sends along is closed`, linux, async (t) => {
    const box = await sandbox(t);
    const unharmed = await bystanders(box);
    await forge(box, 'handles');
    await unharmed();
    for (const pid of box.supervisors()) {
      const sockets = () => readdirSync(`/proc/${pid}/fd`).length;
      await until(
        () => sockets() < 50,
        'the sockets to be closed',
        () => `there are ${sockets()} descriptors`,
      );
    }
  });

  test(`${mode} mode: a message without end closes its channel`, linux, async (t) => {
    const box = await sandbox(t);
    const unharmed = await bystanders(box);
    await box.run(['start', fixture('forges.js'), '--name', 'forger', ...flags, '--', 'flood']);
    const told = () => readFileSync(join(box.home, 'daemon.log'), 'utf8').includes('its channel is closed');
    await until(told, 'a word of it in the log of the daemon');
    await unharmed();
    for (const pid of box.supervisors()) {
      const peak = Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
      assert.ok(peak < 200 * 1024, `supervisor ${pid} has held ${peak} kB`);
    }
  });
}

test("Node's own cluster module opens nothing for it but datagram sockets", async (t) => {
  const box = await sandbox(t);
  await box.run([
    'start',
    fixture('forges.js'),
    '--name',
    'forger',
    '-i',
    '1',
    '--listen-timeout',
    '100',
    '--',
    'cluster',
  ]);
  assert.match(await box.logged('forger-out-0.log', 'done'), /^opened 0 of 44\ndone\n/);
  assert.ok(!existsSync(join(box.cwd, 'forged.sock')));
  assert.equal((await box.app('forger'))[0]?.restarts, 0);
});

test('no app gets a port that the kernel would refuse to its user', { skip: noOtherUser() }, async (t) => {
  const box = await sandbox(t, { open: true });
  const apps = [
    { name: 'victim', script: fixture('http-hello.js'), instances: 2, balance: 'kernel' },
    { name: 'datagrams', script: fixture('udp-echo.js'), instances: 1 },
  ];
  await box.ok('start', box.write('eco.json', JSON.stringify({ apps })));
  const forger = ['start', fixture('forges.js'), '--name', 'forger', '--uid', 'nobody', '-i', '1'];
  await box.run([...forger, '--listen-timeout', '100', '--', 'ports']);
  const log = `forger-out-${(await box.app('forger'))[0]?.id}.log`;
  assert.match(await box.logged(log, 'done'), /^opened 0 of 42\ndone\n/);
  // Nor by a listen() that means it.
  const thief = { name: 'thief', script: fixture('http-hello.js'), instances: 1, uid: 'nobody', max_restarts: 1 };
  for (const balance of ['auto', 'kernel']) {
    const { stderr } = await box.fails('start', box.write('thief.json', JSON.stringify({ ...thief, balance })));
    assert.match(stderr, /EADDRINUSE|is in use/);
    await box.ok('delete', 'thief');
  }
});

test('a socket in the file system is made as the user of the app', { skip: noOtherUser() }, async (t) => {
  const box = await sandbox(t, { open: true });
  const start = [
    'start',
    fixture('unix-socket.js'),
    '--name',
    'app',
    '--uid',
    'nobody',
    '-i',
    '2',
    '--max-restarts',
    '1',
  ];
  // Its folder is root's.
  box.env['SOCKET'] = join(box.cwd, 'app.sock');
  assert.match((await box.fails(...start)).stderr, /EACCES/);
  assert.ok(!existsSync(box.env['SOCKET']));
  await box.ok('delete', 'app');

  const own = join(box.cwd, 'own');
  mkdirSync(own);
  chownSync(own, NOBODY, NOBODY);
  const socket = join(own, 'app.sock');
  box.env['SOCKET'] = socket;
  await box.ok(...start);
  assert.deepEqual([statSync(socket).uid, statSync(socket).gid], [NOBODY, NOBODY]);
  assert.match((await get({ socketPath: socket })).body, /^pid /);
  await box.ok('stop', 'app');
  assert.ok(!existsSync(socket));
});
