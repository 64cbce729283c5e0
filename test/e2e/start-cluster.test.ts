import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, linkSync, mkdirSync, realpathSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fixture, NODE, NODE_VERSION, type Sandbox, sandbox } from './harness.ts';
import { freePort } from './ports.ts';
import { differentAnswers, get, type Target } from './requests.ts';
import { echoOnce, getHttp2, getHttps, selfSigned } from './secure.ts';
import { sorted } from './sorted.ts';

/** Asks until every worker has answered, and compares with the pids that the list shows. */
async function answeredByAll(box: Sandbox, app: string, target: number | Target): Promise<void> {
  const pids = (await box.app(app)).map(({ pid }) => pid);
  const bodies = await differentAnswers(target, pids.length);
  const answered = [...bodies].map((body) => Number(/\d+$/.exec(body)?.[0]));
  assert.deepEqual(sorted(answered), sorted(pids));
}

test('a bare http server becomes four workers that share its port', async (t) => {
  const box = await sandbox(t);
  const { stderr } = await box.ok('start', fixture('http-hello.js'), '--name', 'web', '-i', '4');
  assert.match(stderr, /web started \(4 of 4 instances\)/);
  const rows = await box.rows();
  assert.deepEqual(
    rows.map(({ id, index, mode, state, listens }) => [id, index, mode, state.kind, listens]),
    [0, 1, 2, 3].map((id) => [id, id, 'cluster', 'online', [`127.0.0.1:${box.port}`]]),
  );
  const answers = [...(await differentAnswers(box.port, 4))].map((body) => JSON.parse(body) as { pid: number });
  assert.deepEqual(sorted(answers.map(({ pid }) => pid)), sorted(rows.map(({ pid }) => pid)));
});

test('balance rr: connections go to the workers in turn', async (t) => {
  const box = await sandbox(t);
  const app = { script: fixture('http-hello.js'), instances: 4, balance: 'rr' };
  box.write('apps.json', JSON.stringify({ apps: [app] }));
  await box.ok('start', 'apps.json');
  const counts = new Map<string, number>();
  for (let request = 0; request < 40; request++) {
    const { body } = await get(box.port);
    const { pid } = JSON.parse(body) as { pid: number };
    counts.set(String(pid), (counts.get(String(pid)) ?? 0) + 1);
  }
  assert.deepEqual([...counts.values()], [10, 10, 10, 10]);
});

test('-i max, 0 and negative counts go by the number of CPUs', async (t) => {
  const box = await sandbox(t);
  const cpus = availableParallelism();
  for (const [name, instances, expected] of [
    ['max', 'max', cpus],
    ['zero', '0', cpus],
    ['less', '-1', Math.max(1, cpus - 1)],
  ] as const) {
    await box.ok('start', fixture('port-zero.js'), '--name', name, '-i', instances);
    const rows = await box.app(name);
    assert.equal(rows.length, expected, name);
    assert.ok(rows.every(({ mode, state }) => mode === 'cluster' && state.kind === 'online'));
  }
});

test('an ES module', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', fixture('esm-app.mjs'), '-i', '2');
  await answeredByAll(box, 'esm-app', box.port);
});

test('a .js file that is an ES module by its package.json', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', fixture('esm-package/app.js'), '-i', '2');
  await answeredByAll(box, 'app', box.port);
});

test('an ES module with top-level await is online when it listens and has run', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', fixture('esm-with-top-level-await.mjs'), '--name', 'slow', '-i', '2');
  await answeredByAll(box, 'slow', box.port);
  for (const { id } of await box.rows()) await box.logged(`slow-out-${id}.log`, 'evaluated');
});

test('TypeScript, where Node.js runs it', async (t) => {
  const [major, minor] = NODE_VERSION;
  const stripsTypes = major > 23 || (major === 23 && minor >= 6) || (major === 22 && minor >= 18);
  if (!stripsTypes) return t.skip(`Node.js ${major}.${minor} does not run TypeScript`);
  const box = await sandbox(t);
  await box.ok('start', fixture('typescript-app.ts'), '-i', '2');
  await answeredByAll(box, 'typescript-app', box.port);
});

test('TypeScript, where Node.js does not run it, fails with the way out', async (t) => {
  const [major] = NODE_VERSION;
  if (major > 20) return t.skip(`Node.js ${major} may run TypeScript`);
  const box = await sandbox(t);
  const { stderr } = await box.fails('start', fixture('typescript-app.ts'), '-i', '2');
  assert.match(stderr, /Node\.js does not run TypeScript/);
  assert.match(stderr, /next: .*--import/);
});

test('several ports', async (t) => {
  const box = await sandbox(t);
  const second = await freePort();
  box.env['PORT2'] = String(second);
  await box.ok('start', fixture('two-ports.js'), '-i', '2');
  await answeredByAll(box, 'two-ports', box.port);
  await answeredByAll(box, 'two-ports', second);
  for (const { listens } of await box.rows()) {
    assert.deepEqual(sorted(listens), sorted([`127.0.0.1:${box.port}`, `127.0.0.1:${second}`]));
  }
});

test('port 0: all workers share the one that the system chose', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', fixture('port-zero.js'), '-i', '3');
  const listens = new Set((await box.rows()).flatMap((row) => row.listens));
  assert.equal(listens.size, 1, [...listens].join(' '));
  const port = Number(/:(\d+)$/.exec([...listens][0] ?? '')?.[1]);
  assert.ok(port > 0);
  for (const id of [0, 1, 2]) await box.logged(`port-zero-out-${id}.log`, `port ${port}`);
  await answeredByAll(box, 'port-zero', port);
});

test('a unix socket', async (t) => {
  const box = await sandbox(t);
  const socketPath = join(box.cwd, 'app.sock');
  box.env['SOCKET'] = socketPath;
  await box.ok('start', fixture('unix-socket.js'), '-i', '2');
  await answeredByAll(box, 'unix-socket', { socketPath });
});

test('UDP', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', fixture('udp-echo.js'), '-i', '2');
  const rows = await box.rows();
  assert.deepEqual(
    rows.map(({ listens }) => listens),
    [[`udp 127.0.0.1:${box.port}`], [`udp 127.0.0.1:${box.port}`]],
  );
  const answer = await echoOnce(box.port, 'ping');
  assert.ok(
    rows.some(({ pid }) => answer === `ping ${pid}`),
    answer,
  );
});

test('HTTPS', async (t) => {
  const box = await sandbox(t);
  Object.assign(box.env, selfSigned(box.cwd));
  await box.ok('start', fixture('https-app.js'), '-i', '2');
  const pids = (await box.rows()).map(({ pid }) => pid);
  const answers = new Set<number>();
  for (let asked = 0; asked < 40 && answers.size < 2; asked++) {
    answers.add(Number((await getHttps(box.port)).replace('https ', '')));
  }
  assert.deepEqual(sorted(answers), sorted(pids));
});

test('HTTP/2', async (t) => {
  const box = await sandbox(t);
  Object.assign(box.env, selfSigned(box.cwd));
  await box.ok('start', fixture('http2-app.js'), '-i', '2');
  const pids = (await box.rows()).map(({ pid }) => pid);
  const answers = new Set<number>();
  for (let asked = 0; asked < 40 && answers.size < 2; asked++) {
    answers.add(Number((await getHttp2(box.port)).replace('http2 ', '')));
  }
  assert.deepEqual(sorted(answers), sorted(pids));
});

test('an app that opens no port is online once it stayed up for listen_timeout, and that is said', async (t) => {
  const box = await sandbox(t);
  const { stderr } = await box.ok('start', fixture('idles.js'), '-i', '2', '--listen-timeout', '400');
  assert.match(stderr, /idles is in cluster mode and listens nowhere yet/);
  assert.deepEqual(
    (await box.rows()).map(({ state, listens }) => [state.kind, listens]),
    [
      ['online', []],
      ['online', []],
    ],
  );
  assert.match((await box.ok('describe', 'idles')).stdout, /listens on\s+nowhere/);
});

test("workers run on the app's own interpreter", async (t) => {
  const box = await sandbox(t);
  const folder = join(box.cwd, 'bin');
  mkdirSync(folder);
  const other = join(folder, 'node');
  try {
    linkSync(realpathSync(NODE), other);
  } catch {
    // Another file system, or no right to link to it.
    copyFileSync(realpathSync(NODE), other);
  }
  assert.match(execFileSync(other, ['--version'], { encoding: 'utf8' }), /^v/);
  await box.ok('start', fixture('tells-its-view.js'), '-i', '2', '--interpreter', './bin/node');
  const view = JSON.parse((await get(box.port)).body) as { execPath: string; argv: string[] };
  assert.equal(realpathSync(view.execPath), realpathSync(other));
  assert.equal(view.argv[0], view.execPath);
});
