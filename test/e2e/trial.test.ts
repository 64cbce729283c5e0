import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Sandbox, sandbox } from './harness.ts';
import { isAlive } from './processes.ts';
import { get, startLoad } from './requests.ts';

const good = "require('node:http').createServer((q, s) => s.end('good')).listen(process.env.PORT);";
const failing = "require('node:http').createServer((q, s) => { s.statusCode = 500; s.end(); })";

const pids = async (box: Sandbox): Promise<readonly (number | null)[]> => (await box.app('app')).map(({ pid }) => pid);

for (const instances of ['1', '2'])
  test(`a build that listens and then dies replaces nothing, of ${instances}`, async (t) => {
    const box = await sandbox(t);
    box.write('app.js', good);
    await box.ok('start', 'app.js', '-i', instances);
    const before = await pids(box);
    box.write('app.js', `${failing}.listen(process.env.PORT, () => setTimeout(() => process.exit(1), 300));`);
    const { stderr } = await box.fails('reload', 'app');
    assert.match(stderr, /exited with code 1\n {2}next: what is old serves on/);
    assert.deepEqual(await pids(box), before);
    assert.equal((await get(box.port)).body, 'good');
  });

test('a build that answers nothing but errors replaces nothing', async (t) => {
  const box = await sandbox(t);
  box.write('app.js', good);
  // Each new connection goes to the next worker.
  await box.ok('start', 'app.js', '-i', '1', '--balance', 'rr');
  const before = await pids(box);
  box.write('app.js', `${failing}.listen(process.env.PORT);`);
  const load = startLoad(t, box.port);
  const { stderr } = await box.fails('reload', 'app');
  assert.match(stderr, /it stayed up, but answered every request with an error \(500\)/);
  assert.match(stderr, /next: what is old serves on; with `min_ready: 1s`/);
  const { failures } = await load.stop();
  assert.deepEqual([...new Set(failures)], ['status 500'], 'what was asked of it is answered');
  assert.deepEqual(await pids(box), before);
  assert.ok(before.every((pid) => isAlive(pid ?? 0)));
});

test('with min_ready it need only stay up', async (t) => {
  const box = await sandbox(t);
  box.write('app.js', good);
  await box.ok('start', 'app.js', '-i', '1', '--balance', 'rr', '--min-ready', '1s');
  box.write('app.js', `${failing}.listen(process.env.PORT);`);
  const load = startLoad(t, box.port);
  await box.ok('reload', 'app');
  await load.stop();
  assert.equal((await get(box.port)).status, 500);
});
