import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { realpathSync } from 'node:fs';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { fixture, NODE, sandbox } from './harness.ts';
import { get } from './requests.ts';
import { sorted } from './sorted.ts';

interface View {
  readonly argv: string[];
  readonly main: string | null;
  readonly execArgv: string[];
  readonly cwd: string;
  readonly isWorker: boolean;
  readonly isPrimary: boolean;
  readonly connected: boolean;
  readonly messageListeners: number;
  readonly env: Record<string, string>;
  readonly loaded: string[];
}

const SCRIPT = fixture('tells-its-view.js');
const execPath = execFileSync(NODE, ['-p', 'process.execPath'], { encoding: 'utf8' }).trim();

for (const [mode, flags] of [
  ['fork', []],
  ['cluster', ['-i', '2']],
] as const) {
  test(`${mode} mode: what the app sees of itself is true`, async (t) => {
    const box = await sandbox(t);
    box.env['COLOUR'] = 'blue';
    await box.ok('start', SCRIPT, '--name', 'view', ...flags, '--', 'an argument');
    const view = JSON.parse((await get(box.port)).body) as View;
    assert.deepEqual(view.argv, [execPath, SCRIPT, 'an argument']);
    assert.equal(view.main, SCRIPT, 'require.main is its own module');
    assert.deepEqual(view.execArgv, [], 'no trace of the bootstrap');
    assert.equal(realpathSync(view.cwd), realpathSync(box.cwd));
    assert.deepEqual([view.isWorker, view.isPrimary], [mode === 'cluster', mode === 'fork']);
    assert.equal(view.connected, true);
    // In a worker, Node.js itself has one.
    assert.equal(view.messageListeners, mode === 'cluster' ? 1 : 0);
    assert.equal(view.env['COLOUR'], 'blue');
    assert.match(view.env['NODE_APP_INSTANCE'] ?? '', /^[01]$/);
    assert.match(view.env['pm_id'] ?? '', /^[01]$/);
    assert.equal(view.env['name'], 'view');
    assert.equal(view.env['UPKEEP_HOME'], box.home, 'what it asks upkeep, it asks the one that runs it');
    for (const name of ['NODE_OPTIONS', 'NODE_UNIQUE_ID', 'NODE_CHANNEL_FD']) {
      assert.equal(view.env[name], undefined, name);
    }
  });

  test(`${mode} mode: a child that the app forks is none of upkeep's`, async (t) => {
    const box = await sandbox(t);
    await box.ok('start', SCRIPT, ...flags);
    const child = JSON.parse((await get({ port: box.port, path: '/child' })).body) as View;
    assert.deepEqual(child.argv.slice(1), [SCRIPT, 'as-child']);
    assert.deepEqual(child.execArgv, []);
    assert.deepEqual(child.loaded, [SCRIPT], 'it does not load the bootstrap');
    assert.equal(child.isWorker, false);
    // And the app goes on as it was.
    assert.deepEqual(
      (await box.rows()).map(({ state, restarts }) => [state.kind, restarts]),
      (await box.rows()).map(() => ['online', 0]),
    );
  });

  test(`${mode} mode: an ES module sees its own URL`, async (t) => {
    const box = await sandbox(t);
    const script = fixture('tells-its-view.mjs');
    await box.ok('start', script, ...flags, '--', 'x');
    const view = JSON.parse((await get(box.port)).body) as View & { url: string };
    assert.equal(view.url, pathToFileURL(script).href);
    assert.deepEqual(view.argv, [execPath, script, 'x']);
    assert.deepEqual(view.execArgv, []);
    assert.equal(view.isWorker, mode === 'cluster');
  });

  test(`${mode} mode: its own message handlers get nothing but what is meant for them`, async (t) => {
    const box = await sandbox(t);
    const more = ['--name', 'app', '--shutdown-with-message', '--kill-timeout', '3000', ...flags];
    await box.ok('start', fixture('own-message-handler.js'), ...more);
    await get(box.port);
    if (mode === 'cluster') await box.ok('scale', 'app', '3');
    await box.ok('stop', 'app');
    const log = box.log(mode === 'fork' ? 'app-out.log' : 'app-out-0.log');
    assert.deepEqual(
      new Set(
        log
          .trim()
          .split('\n')
          .map((line) => line.replace('worker', 'process')),
      ),
      new Set(['process got "shutdown"']),
    );
    assert.equal(log.match(/process got/g)?.length, 1);
  });

  test(`${mode} mode: the app keeps the umask of the shell that started it`, async (t) => {
    const box = await sandbox(t);
    const before = process.umask(0o022);
    t.after(() => process.umask(before));
    await box.ok('start', fixture('tells-umask.js'), '--name', 'app', ...flags, '--listen-timeout', '200');
    assert.equal(await box.logged(mode === 'fork' ? 'app-out.log' : 'app-out-0.log', 'umask'), 'umask 22\n');
  });
}

test('each instance has its number', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', fixture('http-hello.js'), '-i', '3');
  const numbers = new Set<string>();
  for (let asked = 0; asked < 60 && numbers.size < 3; asked++) {
    numbers.add((JSON.parse((await get(box.port)).body) as { instance: string }).instance);
  }
  assert.deepEqual(sorted(numbers), ['0', '1', '2']);
});
