import assert from 'node:assert/strict';
import { test } from 'node:test';
import { change, chunked, failsNothing, slow, small, start } from './change-under-load.ts';
import { Load } from './clients.ts';
import { fixture, NODE_VERSION, sandbox } from './harness.ts';
import { isAlive } from './processes.ts';
import { get } from './requests.ts';
import { until } from './until.ts';

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
