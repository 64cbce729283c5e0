import assert from 'node:assert/strict';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Load } from './clients.ts';
import { fixture, type Sandbox, sandbox } from './harness.ts';
import { upTo, wholeLog } from './log-files.ts';
import { until } from './until.ts';

/** The same upkeep, under another version. @returns its command. */
function otherVersion(box: Sandbox, version: string): string {
  const copy = join(box.cwd, `dist-${version}`);
  cpSync('dist', copy, { recursive: true });
  const { version: own } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
  for (const name of ['upkeep', 'cli', 'looking', 'daemon', 'supervisor']) {
    const file = join(copy, `${name}.cjs`);
    writeFileSync(file, readFileSync(file, 'utf8').replaceAll(`"${own}"`, `"${version}"`));
  }
  return join(copy, 'upkeep.cjs');
}

const told = async (box: Sandbox) => (await box.rows()).map(({ id, pid, restarts }) => [id, pid, restarts]);

test('update replaces daemon and supervisors under load: no failed request, the same pids', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', fixture('load/http.js'), '--name', 'web', '-i', '2');
  await box.ok('start', fixture('talks.js'), '--name', 'job', '--shutdown-with-message');
  const target = { port: box.port };
  const small = (index: number): string => `/bytes/${index % 3000}`;
  const load = new Load(t).keepAlive(target, small).keepAlive(target, () => '/slow/200');
  load.newConnections(target, small).newConnections(target, small).pipelines(target);
  const before = await told(box);
  const next = otherVersion(box, '99.0.0');
  const old = await box.run(['list'], { command: next });
  assert.match(old.stderr, /daemon is of version .*, this command of 99\.0\.0: run `upkeep update`/);

  const updated = await box.run(['update'], { command: next });
  assert.equal(updated.code, 0, updated.stderr);
  assert.match(
    updated.stderr,
    /✓ daemon .* → 99\.0\.0\n✓ supervisor of .* → 99\.0\.0\n✓ supervisor of .* → 99\.0\.0\n/,
  );
  assert.deepEqual(await told(box), before);
  const back = await box.run(['update', '--json']);
  assert.deepEqual(
    (JSON.parse(back.stdout) as { supervisors: { problem: string | null }[] }).supervisors.map(
      ({ problem }) => problem,
    ),
    [null, null],
  );
  assert.deepEqual(await told(box), before);
  const { answers } = load;
  await until(() => load.answers > answers + 50, 'answers');
  assert.deepEqual((await load.stop()).failures, []);
  await box.ok('reload', 'web');
  await box.ok('stop', 'job');
  assert.match(box.log('job-out.log'), /message "shutdown"\n$/);
  assert.equal(box.log('job-error.log'), '', 'nothing is missing in the log');
  const numbers = [...box.log('job-out.log').matchAll(/^line (\d+)$/gm)].map(([, number]) => Number(number));
  assert.deepEqual(
    numbers,
    Array.from(numbers, (_, at) => at + 1),
  );
});

test('update without a daemon says so', async (t) => {
  const box = await sandbox(t);
  assert.match((await box.ok('update')).stderr, /no daemon runs/);
});

test('what an app writes last while its supervisor is replaced is kept, every line of it', async (t) => {
  const box = await sandbox(t);
  const app = box.write(
    'app.js',
    `const look = () => {
      if (!require('node:fs').existsSync('go')) return setTimeout(look, 5);
      for (let i = 1; i <= 50000; i++) console.log(i + ' ' + 'x'.repeat(80));
      process.exit(1);
    };
    look();`,
  );
  await box.ok('start', app, '--name', 'app', '--no-autorestart');
  const next = otherVersion(box, '99.0.0');
  const [old] = box.supervisors();
  const updated = box.run(['update'], { command: next });
  await until(() => old !== undefined && !box.supervisors().includes(old), 'the end of the supervisor');
  box.write('go', '');
  assert.equal((await updated).code, 0);
  const numbers = (): number[] =>
    [...wholeLog(join(box.home, 'logs', 'app-out.log')).matchAll(/^(\d+) /gm)].map(([, number]) => Number(number));
  await until(() => numbers().length >= 50_000, 'the last line');
  assert.deepEqual(numbers(), upTo(50_000));
});
