import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { failsNothing, small, start } from './change-under-load.ts';
import { Load } from './clients.ts';
import { fixture, NODE_VERSION, type Sandbox, sandbox } from './harness.ts';
import { KeptConnection } from './kept-connection.ts';
import { until } from './until.ts';

const MANY = 16;

/** @param keepAliveMs long enough that none ends by itself while a test lasts, on any machine. */
async function startWith(t: TestContext, options: Record<string, unknown>, keepAliveMs = 120_000): Promise<Sandbox> {
  const box = await sandbox(t);
  box.env['KEEP_ALIVE_MS'] = String(keepAliveMs);
  const app = { name: 'web', script: fixture('load/http.js'), exec_mode: 'cluster', instances: 2, ...options };
  box.write('apps.json', JSON.stringify({ apps: [app] }));
  await box.ok('start', 'apps.json');
  return box;
}

/** Connections that lie idle after a request. */
async function idleOnes(t: TestContext, port: number, count = MANY): Promise<KeptConnection[]> {
  const connections = Array.from({ length: count }, () => new KeptConnection({ port }));
  t.after(() => connections.forEach((connection) => connection.close()));
  for (const connection of connections) await connection.pid();
  return connections;
}

const pidsOf = async (box: Sandbox): Promise<string[]> => (await box.app('web')).map(({ pid }) => String(pid));

/** Each is still there, and somebody answers on it. */
async function answering(connections: readonly KeptConnection[]): Promise<string[]> {
  for (const { failure } of connections) assert.equal(failure, null);
  return Promise.all(connections.map((connection) => connection.pid()));
}

for (const balance of ['auto', 'rr', 'sticky', 'kernel']) {
  const [major, minor] = NODE_VERSION;
  const skip = balance === 'kernel' && !(major > 22 || (major === 22 && minor >= 12)) && 'Node.js is too old for it';
  test(`${balance}: idle connections go on in the new workers of a reload`, { skip }, async (t) => {
    const box = await startWith(t, { balance });
    const connections = await idleOnes(t, box.port);
    const before = await Promise.all(connections.map((connection) => connection.pid()));
    const fresh = new KeptConnection({ port: box.port });
    t.after(() => fresh.close());
    await box.ok('reload', 'web');
    const pids = await pidsOf(box);
    const after = await answering(connections);
    for (const pid of after) assert.ok(pids.includes(pid), `${pid} is one of ${pids.join(' ')}`);
    assert.ok(pids.includes(await fresh.pid()), 'one that had not asked anything, too');
    // What a worker had, its successor has.
    if (balance !== 'sticky') return;
    for (const pid of new Set(before)) {
      const successors = new Set(after.filter((_, index) => before[index] === pid));
      assert.equal(successors.size, 1, `the clients of ${pid} are together: ${[...successors].join(' ')}`);
    }
  });
}

test('scale down and the restart of one move them, too', async (t) => {
  const box = await startWith(t, { instances: 3 });
  const connections = await idleOnes(t, box.port);
  await box.ok('scale', 'web', '-1');
  await answering(connections);
  const [row] = await box.app('web');
  await box.ok('restart', String(row?.id));
  const pids = await pidsOf(box);
  for (const pid of await answering(connections)) assert.ok(pids.includes(pid));
});

test('move_connections: false leaves them to their own timeout', async (t) => {
  const box = await startWith(t, { move_connections: false }, 500);
  const connections = await idleOnes(t, box.port, 2);
  await box.ok('reload', 'web');
  for (const connection of connections) await assert.rejects(connection.pid());
});

test('where nobody else listens on their address, they stay until they end', async (t) => {
  const box = await startWith(t, { instances: 1 }, 500);
  const connections = await idleOnes(t, box.port, 2);
  const { port } = box;
  box.env['PORT'] = String(port + 1);
  await box.run(['reload', 'web', '--update-env']);
  for (const connection of connections) await assert.rejects(connection.pid());
});

test('clients of all kinds notice nothing of reloads', async (t) => {
  const box = await start(t, 'http', '-i', '2');
  const moved = { count: 0 };
  const load = new Load(t).keepsAsking({ port: box.port }, moved).keepAlive({ port: box.port }, small, 25);
  for (let round = 0; round < 5; round++) {
    const answered = load.answers;
    await until(() => load.answers > answered + 40, 'more answers');
    await box.ok('reload', 'web');
  }
  await failsNothing(load);
  assert.ok(moved.count > 0, 'connections moved');
});

test('a new worker that is killed takes none with it but its own', async (t) => {
  const box = await startWith(t, {});
  const connections = await idleOnes(t, box.port);
  const reload = box.run(['reload', 'web']);
  await until(async () => {
    const [row] = await box.app('web');
    const fresh = row?.successor?.pid ?? (row?.draining.length ? row.pid : null);
    if (!fresh) return false;
    process.kill(fresh, 'SIGKILL');
    return true;
  }, 'a new worker');
  await reload;
  // Each is answered, or was that one's and has ended: none hangs, none gets what is not its own.
  const answers = await Promise.allSettled(connections.map((connection) => connection.pid()));
  const pids = new Set(await pidsOf(box));
  for (const answer of answers) {
    if (answer.status === 'fulfilled')
      assert.ok(pids.has(answer.value), `${answer.value} is one of ${[...pids].join(' ')}`);
    else assert.doesNotMatch(String(answer.reason), /no answer/);
  }
});

test('when the supervisor is killed amid a reload, each idle connection is still answered', async (t) => {
  const box = await startWith(t, { instances: 4, drain_timeout: 10_000 });
  const connections = await idleOnes(t, box.port);
  // So that drains are long enough to be seen.
  const unanswered = await idleOnes(t, box.port);
  for (const connection of unanswered) connection.say('GET /never HTTP/1.1\r\nHost: localhost\r\n\r\n');
  const reload = box.run(['reload', 'web']);
  await until(async () => (await box.app('web')).some(({ draining }) => draining.length > 0), 'a drain');
  for (const pid of box.supervisors()) process.kill(pid, 'SIGKILL');
  await reload;
  await answering(connections);
});
