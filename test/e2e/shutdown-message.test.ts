import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fixture, sandbox } from './harness.ts';
import { get } from './requests.ts';

const IN_ORDER = /told to shut down\ndatabase closed\nserver closed\n/;

test('cluster mode: on reload and on stop the app closes its database, then its server, then exits', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', fixture('shutdown-message.js'), '--name', 'web', '-i', '2');
  await box.ok('reload', 'web');
  for (const id of [0, 1]) {
    const log = await box.logged(`web-out-${id}.log`, 'server closed');
    assert.equal(
      log,
      'serving\nserving\ntold to shut down\ndatabase closed\nserver closed\n',
      'the new one serves first',
    );
  }
  assert.equal((await get(box.port)).status, 200);
  await box.ok('stop', 'web');
  const rows = await box.rows();
  for (const { id, lastExit } of rows) {
    assert.deepEqual([lastExit?.code, lastExit?.signal], [0, null]);
    assert.equal(box.log(`web-out-${id}.log`).match(new RegExp(IN_ORDER, 'g'))?.length, 2);
  }
});

test('cluster mode: on scale down and delete too', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', fixture('shutdown-message.js'), '--name', 'web', '-i', '2');
  await box.ok('scale', 'web', '1');
  assert.match(await box.logged('web-out-1.log', 'server closed'), IN_ORDER);
  await box.ok('delete', 'web');
  assert.match(await box.logged('web-out-0.log', 'server closed'), IN_ORDER);
});

test('fork mode: only with --shutdown-with-message, else by signal', async (t) => {
  const box = await sandbox(t);
  const script = fixture('shutdown-message-without-server.js');
  await box.ok('start', script, '--name', 'asked', '--shutdown-with-message');
  await box.ok('start', script, '--name', 'signalled');
  await box.ok('stop', 'all');
  assert.equal(box.log('asked-out.log'), 'running\ntold to shut down\n');
  assert.equal(box.log('signalled-out.log'), 'running\ngot SIGINT\n');
});

test('fork mode: the message reaches an app with a server as well', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', fixture('shutdown-message.js'), '--name', 'web', '--shutdown-with-message');
  await box.ok('stop', 'web');
  assert.match(box.log('web-out.log'), IN_ORDER);
});

test('an app that takes no messages is signalled in spite of --shutdown-with-message', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', fixture('logs-signals.js'), '--name', 'app', '--shutdown-with-message');
  await box.ok('stop', 'app');
  assert.equal(box.log('app-out.log'), 'running\ngot SIGINT\n');
});

test('an app that ignores the message is killed after kill_timeout', async (t) => {
  const box = await sandbox(t);
  box.write('app.js', "process.on('message', () => console.log('ignored')); setInterval(() => {}, 60_000);");
  await box.ok('start', 'app.js', '-i', '1', '--listen-timeout', '200', '--kill-timeout', '300');
  await box.ok('stop', 'app');
  assert.match(box.log('app-out-0.log'), /ignored/);
  assert.equal((await box.rows())[0]?.lastExit?.signal, 'SIGKILL');
});
