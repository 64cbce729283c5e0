import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Load } from './clients.ts';
import { fixture, NODE_VERSION, type Sandbox, sandbox } from './harness.ts';
import { isAlive } from './processes.ts';
import { get } from './requests.ts';
import { selfSigned } from './secure.ts';
import { until } from './until.ts';

/** Short loads during every kind of change; the long ones are in bench/. */

const small = (index: number): string => `/bytes/${(index * 37) % 5000}`;
const chunked = (index: number): string => `/chunks/${(index * 53) % 20_000}`;
const slow = (index: number): string => `/slow/${100 + ((index * 131) % 400)}`;

async function start(t: TestContext, app: string, ...flags: string[]): Promise<Sandbox> {
  const box = await sandbox(t);
  Object.assign(box.env, selfSigned(box.cwd));
  await box.ok('start', fixture(`load/${app}.js`), '--name', 'web', ...flags);
  return box;
}

/** Reload, scale and restart of one, once each client has had answers. */
async function change(box: Sandbox, load: Load, rounds = 2): Promise<void> {
  const answered = async (more: number): Promise<void> => {
    const before = load.answers;
    await until(() => load.answers >= before + more, `${more} more answers`);
  };
  for (let round = 0; round < rounds; round++) {
    await answered(20);
    await box.ok('reload', 'web');
  }
  await box.ok('scale', 'web', '+2');
  await answered(20);
  await box.ok('scale', 'web', '-2');
  const rows = await box.app('web');
  if (rows.length > 1) await box.ok('restart', String(rows[0]?.id));
  await answered(20);
}

async function failsNothing(load: Load): Promise<void> {
  const { failures, answers } = await load.stop();
  assert.deepEqual(failures, []);
  assert.ok(answers > 50, `only ${answers} answers`);
}

for (const workers of [1, 2, 4]) {
  test(`http, ${workers} workers: every answer of every client comes whole`, async (t) => {
    const box = await start(t, 'http', '-i', String(workers));
    const target = { port: box.port };
    const load = new Load(t);
    for (let each = 0; each < 3; each++) {
      load.keepAlive(target, small).keepAlive(target, chunked).newConnections(target, small).keepAlive(target, slow);
    }
    load.pipelines(target).pipelines(target).uploads(target);
    load
      .newConnections(target, () => '/download/20/40')
      .keepAlive(target, small, 700)
      .keepAlive(target, small, 1900);
    await change(box, load);
    await failsNothing(load);
  });
}

test('WebSockets are told to go, event streams end whole', async (t) => {
  const box = await start(t, 'http', '-i', '2');
  const target = { port: box.port };
  const load = new Load(t).keepAlive(target, small).newConnections(target, small);
  for (let each = 0; each < 5; each++) load.webSockets(target).eventStreams(target);
  await change(box, load);
  await failsNothing(load);
});

for (const app of ['express', 'fastify', 'koa'] as const) {
  test(`${app}: every answer comes whole`, async (t) => {
    const box = await start(t, app, '-i', '2');
    const target = { port: box.port };
    const load = new Load(t).keepAlive(target, small).keepAlive(target, slow).newConnections(target, chunked);
    load.pipelines(target).keepAlive(target, small, 900);
    await change(box, load, 1);
    await failsNothing(load);
  });
}

test('https: every answer comes whole', async (t) => {
  const box = await start(t, 'https', '-i', '2');
  const target = { port: box.port, tls: true };
  const load = new Load(t).keepAlive(target, small).keepAlive(target, slow).newConnections(target, chunked);
  load.uploads(target).keepAlive(target, small, 900);
  await change(box, load, 1);
  await failsNothing(load);
});

test('HTTP/2: sessions are told to go, their streams end, and HTTP/1 beside them', async (t) => {
  const box = await start(t, 'http2', '-i', '2');
  const target = { port: box.port, tls: true };
  const load = new Load(t).http2(target).http2(target).http2(target);
  load.keepAlive(target, small).newConnections(target, chunked);
  await change(box, load, 1);
  await failsNothing(load);
});

test('a plain TCP server: connections last until they end', async (t) => {
  const box = await start(t, 'net', '-i', '2');
  const load = new Load(t);
  for (let each = 0; each < 6; each++) load.lines({ port: box.port });
  await change(box, load, 2);
  await failsNothing(load);
});

for (const say of ['message', 'signal']) {
  test(`an app that goes at once by its own ${say} handler goes after its requests`, async (t) => {
    const box = await sandbox(t);
    box.env['SAY'] = say;
    await box.ok('start', fixture('load/says-exit.js'), '--name', 'web', '-i', '2');
    const target = { port: box.port };
    const load = new Load(t).keepAlive(target, small).keepAlive(target, slow).newConnections(target, slow);
    load.keepAlive(target, small).pipelines(target);
    await change(box, load);
    await failsNothing(load);
  });
}

for (const balance of ['rr', 'sticky', 'kernel']) {
  const [major, minor] = NODE_VERSION;
  const skip = balance === 'kernel' && !(major > 22 || (major === 22 && minor >= 12)) && 'Node.js is too old for it';
  test(`balance ${balance}: every answer comes whole`, { skip }, async (t) => {
    const box = await sandbox(t);
    const app = { name: 'web', script: fixture('load/http.js'), instances: 2, balance };
    box.write('apps.json', JSON.stringify({ apps: [app] }));
    await box.ok('start', 'apps.json');
    const target = { port: box.port };
    const load = new Load(t).keepAlive(target, small).keepAlive(target, slow).newConnections(target, chunked);
    load.newConnections(target, small).pipelines(target);
    await change(box, load);
    await failsNothing(load);
  });
}

test('while the only worker is restarted, clients wait for the next one', async (t) => {
  const box = await start(t, 'http', '-i', '1');
  const target = { port: box.port };
  const load = new Load(t).newConnections(target, small).newConnections(target, small).keepAlive(target, small);
  for (let round = 0; round < 3; round++) await box.ok('restart', 'web');
  await failsNothing(load);
});

test('when the only worker is killed, new clients wait for the next one', async (t) => {
  const box = await start(t, 'http', '-i', '1');
  for (let round = 0; round < 3; round++) {
    const [row] = await box.app('web');
    process.kill(row?.pid ?? 0, 'SIGKILL');
    // Some of these are there before the next one is.
    const answers = await Promise.all(Array.from({ length: 10 }, () => get({ port: box.port, path: '/who' })));
    for (const { body } of answers) assert.equal(body, '/who');
    await until(async () => (await box.app('web'))[0]?.state.kind === 'online', 'the next worker');
  }
});

test('what is still open after drain_timeout is cut', async (t) => {
  const box = await sandbox(t);
  const app = { name: 'web', script: fixture('load/http.js'), instances: 1, exec_mode: 'cluster', drain_timeout: 300 };
  box.write('apps.json', JSON.stringify({ apps: [app] }));
  await box.ok('start', 'apps.json');
  const [before] = await box.app('web');
  const never = assert.rejects(get({ port: box.port, path: '/never' }));
  await box.logged('web-out-0.log', 'asked never');
  await box.ok('reload', 'web');
  await never;
  assert.equal(isAlive(before?.pid ?? 0), false);
});
