import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { test } from 'node:test';
import type { InstanceView } from '../../src/protocol/messages.ts';
import { Load } from './clients.ts';
import { fixture, NODE_VERSION, type Sandbox, sandbox } from './harness.ts';
import { isAlive, processesWith } from './processes.ts';
import { get } from './requests.ts';
import { until } from './until.ts';

const small = (index: number): string => `/bytes/${(index * 37) % 5000}`;
const slow = (index: number): string => `/slow/${100 + ((index * 131) % 400)}`;
const told = (rows: readonly InstanceView[]) =>
  rows.map(({ id, name, pid, restarts, state }) => [id, name, pid, restarts, state.kind]);

/** Kills all supervisors, and waits until others have their places. */
async function killSupervisors(box: Sandbox): Promise<void> {
  const before = box.supervisors();
  for (const pid of before) process.kill(pid, 'SIGKILL');
  const others = (): number[] => box.supervisors().filter((pid) => !before.includes(pid));
  await until(() => others().length === before.length, 'other supervisors');
  // They answer once they have taken over.
  await until(async () => (await box.upkeep('sendSignal', 'SIGCONT', 'all')).code === 0, 'an answer');
}

const [major, minor] = NODE_VERSION;
const reusesPorts = major > 22 || (major === 22 && minor >= 12);

for (const balance of ['auto', 'rr', 'sticky', 'kernel']) {
  const skip = balance === 'kernel' && !reusesPorts && 'Node.js is too old for it';
  test(`balance ${balance}: workers serve on while their supervisor is killed, and obey the next`, {
    skip,
  }, async (t) => {
    const box = await sandbox(t);
    const app = { name: 'web', script: fixture('load/http.js'), instances: 2, balance };
    box.write('apps.json', JSON.stringify({ apps: [app] }));
    await box.ok('start', 'apps.json');
    const target = { port: box.port };
    const load = new Load(t).keepAlive(target, small).keepAlive(target, small).keepAlive(target, slow);
    load.pipelines(target);
    const before = told(await box.rows());
    for (let round = 0; round < 3; round++) {
      const { answers } = load;
      await until(() => load.answers > answers + 20, 'answers');
      await killSupervisors(box);
      assert.deepEqual(told(await box.rows()), before);
      assert.equal((await get({ ...target, path: '/bytes/9' })).body, '/bytes/9/');
    }
    load.newConnections(target, small);
    await box.ok('reload', 'web');
    await box.ok('scale', 'web', '+2');
    await box.ok('scale', 'web', '-2');
    const rows = await box.rows();
    assert.deepEqual(
      rows.map(({ restarts }) => restarts),
      [1, 1],
    );
    for (const [, , pid] of before) assert.equal(isAlive(pid as number), false);
    assert.deepEqual((await load.stop()).failures, []);
    await box.ok('stop', 'web');
    await assert.rejects(get(target), 'the socket closes with the app');
  });
}

test('fork mode: a Node.js app keeps its channel, its log and its last words', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', fixture('talks.js'), '--name', 'app', '--shutdown-with-message', '--stop-exit-codes', '7');
  await box.logged('app-out.log', 'line 50\n');
  const before = told(await box.rows());
  await killSupervisors(box);
  await killSupervisors(box);
  assert.deepEqual(told(await box.rows()), before);
  const [last = ''] = box.log('app-out.log').split('\n').slice(-2);
  await box.logged('app-out.log', `line ${Number(last.split(' ')[1]) + 50}\n`);
  await box.ok('stop', 'app');
  assert.match(box.log('app-out.log'), /message "shutdown"\n$/);
  assert.doesNotMatch(box.log('app-out.log'), /disconnected/);
  assert.match(
    box.log('app-error.log'),
    /^upkeep: the supervisor was killed.*\nupkeep: the supervisor was killed.*\n$/,
  );
  const [row] = await box.rows();
  assert.deepEqual([row?.lastExit?.code, row?.restarts], [7, 0]);
  const numbers = [...box.log('app-out.log').matchAll(/^line (\d+)$/gm)].map(([, number]) => Number(number));
  const jumps = numbers.filter((number, at) => at > 0 && number !== (numbers[at - 1] ?? 0) + 1);
  // What was read and not written: one chunk at each kill.
  assert.ok(jumps.length <= 2, `${jumps.length} gaps`);
  assert.ok(
    numbers.every((number, at) => at === 0 || number > (numbers[at - 1] ?? 0)),
    'in order, none twice',
  );
});

test('fork mode: any program goes on, and is ended with its children', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', 'trap "" HUP; sleep 1000 & while :; do echo tick; sleep 0.05; done', '--name', 'loop');
  await box.logged('loop-out.log', 'tick\ntick\n');
  const before = told(await box.rows());
  await killSupervisors(box);
  const lines = box.log('loop-out.log').length;
  await until(() => box.log('loop-out.log').length > lines, 'more lines');
  assert.deepEqual(told(await box.rows()), before);
  await box.ok('stop', 'loop');
  assert.deepEqual(
    processesWith(box.home).filter((pid) => !isUpkeep(box, pid)),
    [],
  );
});

function isUpkeep(box: Sandbox, pid: number): boolean {
  return box.supervisors().includes(pid) || !isAlive(pid) || processesWith('upkeep daemon').includes(pid);
}

test('what ends while there is no supervisor is started again, once', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', fixture('http-hello.js'), '--name', 'web');
  const [before] = await box.rows();
  const [supervisor = 0] = box.supervisors();
  process.kill(supervisor, 'SIGSTOP');
  process.kill(before?.pid ?? 0, 'SIGKILL');
  await until(() => !isAlive(before?.pid ?? 0), 'its end');
  process.kill(supervisor, 'SIGKILL');
  const after = await until(async () => {
    const [row] = await box.rows();
    return row?.state.kind === 'online' && row.pid !== before?.pid ? row : null;
  }, 'a new process');
  assert.equal(after.restarts, 1);
  assert.match((await box.ok('describe', 'web')).stdout, /an exit that nobody saw/);
  assert.equal((await get(box.port)).status, 200);
});

test('daemon and supervisors killed at once: the next command finds everything', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', fixture('http-hello.js'), '--name', 'web', '-i', '2');
  await box.ok('start', 'sleep 1000', '--name', 'job');
  const before = told(await box.rows());
  const daemon = await box.daemonPid();
  const supervisors = box.supervisors();
  for (const pid of [daemon, ...supervisors]) process.kill(pid, 'SIGSTOP');
  for (const pid of [daemon, ...supervisors]) process.kill(pid, 'SIGKILL');
  assert.deepEqual(told(await box.rows()), before);
  assert.equal((await get(box.port)).status, 200);
  await box.ok('restart', 'all');
});

for (const balance of ['rr', 'sticky']) {
  test(`balance ${balance}: workers accept themselves while there is nothing of upkeep, and no more after`, async (t) => {
    const box = await sandbox(t);
    const app = { name: 'web', script: fixture('http-hello.js'), instances: 2, balance };
    await box.ok('start', box.write('apps.json', JSON.stringify({ apps: [app] })));
    const before = told(await box.rows());
    for (let round = 0; round < 2; round++) {
      const all = [await box.daemonPid(), ...box.supervisors()];
      for (const pid of all) process.kill(pid, 'SIGSTOP');
      for (const pid of all) process.kill(pid, 'SIGKILL');
      for (let count = 0; count < 20; count++) assert.equal((await get(box.port)).status, 200);
      assert.deepEqual(box.supervisors(), []);
      assert.deepEqual(told(await box.rows()), before);
      // They give the sockets back when the next supervisor has them.
      await until(async () => {
        const answers = await Promise.all(Array.from({ length: 20 }, () => get(box.port)));
        const counts = countsOf(answers.map(({ body }) => body));
        return counts.join() === (balance === 'rr' ? '10,10' : '20');
      }, 'connections to be given as before');
    }
    await box.ok('reload', 'web');
    assert.equal((await get(box.port)).status, 200);
    await box.ok('stop', 'web');
    await assert.rejects(get(box.port), 'the socket closes with the app');
  });
}

test('an app keeps no more listeners however often its supervisor is killed', async (t) => {
  const box = await sandbox(t);
  const count = "['internalMessage', 'newListener', 'removeListener'].map((event) => process.listenerCount(event))";
  box.write('app.js', `setInterval(() => console.log('has ' + ${count}), 20);`);
  await box.ok('start', 'app.js', '--name', 'app');
  await box.logged('app-out.log', /has .*\n/);
  const [before] = box.log('app-out.log').split('\n');
  await killSupervisors(box);
  await killSupervisors(box);
  const length = box.log('app-out.log').length;
  await until(() => box.log('app-out.log').length > length + 50, 'more lines');
  const counts = (line = ''): number[] => line.replace('has ', '').split(',').map(Number);
  const after = counts(box.log('app-out.log').split('\n').at(-2));
  // Node listens once more for the first new channel.
  assert.ok(
    after.every((number, at) => number <= (counts(before)[at] ?? 0) + 1),
    `${before} -> ${after.join()}`,
  );
});

test('a reload whose supervisor is killed fails; what is old serves, what was new is gone', async (t) => {
  const box = await sandbox(t);
  box.env['GATE'] = box.write('gate', '');
  const flags = ['--wait-ready', '--listen-timeout', '60000'];
  await box.ok('start', fixture('ready-when-file.js'), '--name', 'web', '-i', '2', ...flags);
  const before = told(await box.rows());
  rmSync(box.env['GATE']);
  const reload = box.upkeep('reload', 'web');
  const waiting = (): string[] => /waits (\d+)\n$/.exec(box.log('web-out-0.log'))?.slice(1) ?? [];
  const [fresh = ''] = await until(() => waiting().length > 0 && waiting(), 'a new worker');
  await killSupervisors(box);
  const { code, stderr } = await reload;
  assert.equal(code, 1);
  assert.match(stderr, /ended before it answered/);
  assert.deepEqual(told(await box.rows()), before);
  await until(() => !isAlive(Number(fresh)), 'the end of the new worker');
  assert.equal((await get(box.port)).status, 200);
});

test('a drain goes on under the next supervisor', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', fixture('load/http.js'), '--name', 'web', '-i', '2');
  const target = { port: box.port };
  const answer = get({ ...target, path: '/slow/2500' });
  const other = get({ ...target, path: '/slow/2500' });
  await until(async () => (await get({ ...target, path: '/bytes/3' })).status === 200, 'the app');
  const reload = box.upkeep('reload', 'web');
  await until(async () => (await box.rows()).some(({ draining }) => draining.length > 0), 'a drain');
  await killSupervisors(box);
  assert.equal((await answer).body, '/slow/2500');
  assert.equal((await other).body, '/slow/2500');
  await reload;
  await until(async () => (await box.rows()).every(({ draining }) => draining.length === 0), 'the end of the drain');
});

test('kill and delete reach what supervisors that are gone have left', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', fixture('http-hello.js'), '--name', 'web', '-i', '2');
  await box.ok('start', 'sleep 1000', '--name', 'job');
  await box.ok('start', 'sleep 1000', '--name', 'other');
  const pids = (await box.rows()).map(({ pid }) => pid ?? 0);
  // Supervisors that die again and again come back ever later.
  for (let round = 0; round < 4; round++) await killSupervisors(box);
  for (const pid of box.supervisors()) process.kill(pid, 'SIGKILL');
  await box.ok('delete', 'job');
  assert.deepEqual(pids.map(isAlive), [true, true, false, true]);
  for (const pid of box.supervisors()) process.kill(pid, 'SIGKILL');
  assert.match((await box.ok('kill')).stderr, /stopped 3 processes/);
  assert.deepEqual(pids.map(isAlive), [false, false, false, false]);
});

/** How often each of these texts is there. */
function countsOf(texts: readonly string[]): number[] {
  return [...new Set(texts)].map((text) => texts.filter((each) => each === text).length);
}
