import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { type TestContext, test } from 'node:test';
import { sandbox } from './harness.ts';
import { freePort } from './ports.ts';
import { get } from './requests.ts';

/** A port that another program has. */
async function takenPort(t: TestContext): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => {
    server.listen(0, resolve);
  });
  t.after(() => server.close());
  return (server.address() as { port: number }).port;
}

const serves =
  "const http = require('node:http'); const answer = (q, s) => s.end('hello'); const { PORT, TAKEN, FREE } = process.env;";

const APPS: Readonly<Record<string, string>> = {
  'a listen() that failed, and was handled':
    "http.createServer().on('error', () => {}).listen(TAKEN); http.createServer(answer).listen(PORT);",
  'a port that is taken, and then the next': `
    const server = http.createServer(answer);
    server.once('error', () => server.listen(PORT)).listen(TAKEN);`,
  'every IPv4 address, and then every address':
    "http.createServer(answer).listen(PORT, '0.0.0.0', () => http.createServer(answer).on('error', () => {}).listen(PORT, '::'));",
  'a server that is closed at once':
    'http.createServer().listen(FREE).close(); http.createServer(answer).listen(PORT);',
  'a look for a free port': `
    const probe = http.createServer();
    probe.listen(FREE, () => probe.close(() => setTimeout(() => http.createServer(answer).listen(PORT), 100)));`,
  'a name that nobody knows':
    "http.createServer().on('error', () => {}).listen(FREE, 'no-such-host.invalid'); http.createServer(answer).listen(PORT);",
};

for (const mode of ['fork', 'cluster'])
  for (const [what, text] of Object.entries(APPS))
    test(`${mode} mode, ${what}: online is what listens in the end`, async (t) => {
      const box = await sandbox(t);
      box.env['TAKEN'] = String(await takenPort(t));
      box.env['FREE'] = String(await freePort());
      box.write('app.js', `${serves}\n${text}`);
      await box.ok('start', 'app.js', '--exec-mode', mode);
      const listens = async () =>
        (await box.app('app')).flatMap((row) => row.listens.map((address) => /\d+$/.exec(address)?.[0]));
      assert.deepEqual(await listens(), [String(box.port)]);
      assert.equal((await get(box.port)).body, 'hello');
      await box.ok('reload', 'app');
      assert.deepEqual(await listens(), [String(box.port)]);
      assert.equal((await get(box.port)).body, 'hello');
    });

for (const mode of ['fork', 'cluster'])
  test(`${mode} mode: a reload and a restart tell that an app listens elsewhere`, async (t) => {
    const box = await sandbox(t);
    const other = await freePort();
    const server = (port: number) =>
      `require('node:http').createServer((q, s) => s.end()).listen(${port}, '127.0.0.1');`;
    box.write('app.js', server(box.port));
    await box.ok('start', 'app.js', '--exec-mode', mode);
    box.write('app.js', server(other));
    const { stderr } = await box.ok('reload', 'app');
    assert.ok(stderr.includes(`app (0) listened on 127.0.0.1:${box.port}, now on 127.0.0.1:${other}\n`), stderr);
    assert.doesNotMatch((await box.ok('restart', 'app')).stderr, /listened on/);
    box.write('app.js', server(0));
    assert.doesNotMatch((await box.ok('restart', 'app')).stderr, /listened on/);
    assert.doesNotMatch((await box.ok('restart', 'app')).stderr, /listened on/);
  });

test('a slow instance of a cluster whose siblings listen is online when it does', async (t) => {
  const box = await sandbox(t);
  box.write(
    'app.js',
    "const slow = process.env.NODE_APP_INSTANCE !== '0' ? 4000 : 0; setTimeout(() => require('node:http').createServer((q, s) => s.end()).listen(process.env.PORT), slow);",
  );
  await box.ok('start', 'app.js', '-i', '1');
  await box.ok('scale', 'app', '+1');
  const rows = await box.app('app');
  assert.deepEqual(
    rows.map(({ state, listens }) => [state.kind, listens.length]),
    [
      ['online', 1],
      ['online', 1],
    ],
  );
});
