import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { fixture, NODE } from './harness.ts';
import { isAlive, processesWith } from './processes.ts';
import { until } from './until.ts';

/** A run that starts apps in a home of its own and one that throws all away that could tell whose it is, then waits. */
const RUN = `
  import { execFileSync, spawn } from 'node:child_process';
  import { openRunFolder } from '${pathToFileURL(join(process.cwd(), 'scripts', 'run-folder.mjs')).href}';
  const endRun = openRunFolder();
  const folder = process.env.TMPDIR;
  const env = { PATH: process.env.PATH, UPKEEP_HOME: folder + '/h', PORT: '0' };
  const upkeep = (...args) => execFileSync(process.execPath, ['dist/upkeep.cjs', ...args], { env });
  upkeep('start', '${fixture('idles.js')}', '--name', 'idle');
  upkeep('start', '${fixture('http-hello.js')}', '--name', 'web', '-i', '2');
  const apps = JSON.parse(upkeep('list', '--json')).map(({ pid }) => pid);
  const options = { cwd: folder, env: {}, detached: true, stdio: 'ignore' };
  const clean = spawn(process.execPath, ['${fixture('idles.js')}'], options);
  clean.unref();
  console.log(JSON.stringify({ folder, pids: [...apps, clean.pid, Number(upkeep('pid'))] }));
  process.stdin.once('end', async () => {
    await endRun();
    console.log('ended');
    process.exit();
  }).resume();
`;

async function startRun(t: TestContext) {
  const run = spawn(NODE, ['--input-type=module', '-e', RUN], { stdio: ['pipe', 'pipe', 'pipe'] });
  t.after(() => run.kill('SIGKILL'));
  let [said, errors] = ['', ''];
  run.stdout.on('data', (chunk) => (said += String(chunk)));
  run.stderr.on('data', (chunk) => (errors += String(chunk)));
  await until(
    () => said.includes('\n'),
    'the run',
    () => errors,
  );
  const { folder, pids } = JSON.parse(said) as { readonly folder: string; readonly pids: readonly number[] };
  const left = () => [...processesWith(folder), ...pids.filter(isAlive)];
  assert.deepEqual(pids.filter(isAlive), pids);
  return { run, folder, left, said: () => said };
}

const linux = { skip: process.platform === 'linux' ? false : 'needs /proc to see what runs' };

for (const signal of ['SIGKILL', 'SIGINT', 'SIGTERM'] as const)
  test(`a run of tests that ${signal} ends leaves no process and no folder`, linux, async (t) => {
    const { run, folder, left } = await startRun(t);
    run.kill(signal);
    await until(() => !existsSync(folder) && left().length === 0, 'the end of the run');
  });

test('a run that ends by itself waits until nothing of it is left', linux, async (t) => {
  const { run, folder, left, said } = await startRun(t);
  run.stdin.end();
  await until(() => said().endsWith('ended\n'), 'its last word');
  assert.equal(existsSync(folder), false);
  assert.deepEqual(left(), []);
});
