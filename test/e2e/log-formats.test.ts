import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fixture, sandbox } from './harness.ts';
import { checkLines, logBytes, upTo, wholeLog } from './log-files.ts';
import { until } from './until.ts';

test('lines of 16 instances in one file never mix', async (t) => {
  const box = await sandbox(t);
  // Halves of lines, written apart.
  const code =
    'for n in $(seq 1 100); do printf "%s %s the quick brown fox" "$NODE_APP_INSTANCE" "$n"; ' +
    'printf " jumps over the lazy dog and runs, and 世界 is watching it\\n"; done; exec sleep 1000';
  const script = box.write('halves.sh', code);
  await box.ok('start', script, '--name', 'app', '-i', '16', '--merge-logs', '-o', 'out.log', '-e', 'out.log');
  const log = join(box.cwd, 'out.log');
  const all = () => readFileSync(log, 'utf8').split('\n').length > 1600;
  await until(all, 'all lines', () => readFileSync(log, 'utf8').slice(-300));
  const { numbers } = checkLines(readFileSync(log, 'utf8'));
  assert.equal(numbers.size, 16);
  for (const list of numbers.values()) assert.deepEqual(list, upTo(100));
});

test('a cluster too: what workers and their children write is all there', async (t) => {
  const box = await sandbox(t);
  const code = `require('node:child_process').spawn('sh', ['-c', 'echo from a child'], { stdio: 'inherit' });
    require('node:fs').writeSync(1, 'from a descriptor\\n'); console.log('from console');
    setInterval(() => {}, 60_000);`;
  box.write('app.js', code);
  await box.ok('start', 'app.js', '-i', '2', '--merge-logs', '--listen-timeout', '300');
  const lines = () => box.log('app-out.log').split('\n').slice(0, -1).toSorted();
  await until(
    () => lines().length === 6,
    'six lines',
    () => lines().join('\n'),
  );
  assert.deepEqual([...new Set(lines())], ['from a child', 'from a descriptor', 'from console']);
});

test('with the time, in the default format and in one of ones own', async (t) => {
  const box = await sandbox(t);
  const script = fixture('prints-lines.js');
  await box.ok('start', script, '--name', 'iso', '--time', '--', '2');
  await box.ok('start', script, '--name', 'own', '--log-date-format', 'DD.MM.YYYY HH:mm:ss.SSS Z', '--', '2');
  assert.match(await box.logged('iso-out.log', 'out 2\n'), /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d: out \d\n){2}$/);
  const OWN = /^(\d\d\.\d\d\.\d{4} \d\d:\d\d:\d\d\.\d{3} [+-]\d\d:\d\d: err \d\n){2}$/;
  assert.match(await box.logged('own-error.log', 'err 2\n'), OWN);
});

test('as JSON, with the release, and fields of the app', async (t) => {
  const box = await sandbox(t);
  box.write('app.js', `console.log('text'); console.error('{"level":50,"msg":"own"}'); setInterval(() => {}, 60_000);`);
  await box.ok('start', 'app.js', '--log-type', 'json');
  const out = JSON.parse(await box.logged('app-out.log', '\n')) as Record<string, unknown>;
  const { time, ...fields } = out;
  assert.ok(Math.abs(Date.now() - Date.parse(String(time))) < 60_000);
  assert.deepEqual(fields, { app: 'app', instance: 0, stream: 'out', release: box.cwd, message: 'text' });
  const err = JSON.parse(await box.logged('app-error.log', '\n')) as Record<string, unknown>;
  assert.deepEqual([err['level'], err['msg'], err['stream'], err['message']], [50, 'own', 'err', undefined]);
});

test('any bytes are kept as they are; as JSON they become text', async (t) => {
  const box = await sandbox(t);
  const code = `const bytes = Buffer.alloc(300_000, 0).map((_, at) => (at * 7 + (at >> 8)) & 255);
    require('node:fs').writeSync(1, bytes); process.stdout.write('\\nend\\n'); setInterval(() => {}, 60_000);`;
  box.write('binary.js', code);
  await box.ok('start', 'binary.js', '--name', 'plain');
  await box.ok('start', 'binary.js', '--name', 'json', '--log-type', 'json');
  const bytes = Buffer.alloc(300_000, 0).map((_, at) => (at * 7 + (at >> 8)) & 255);
  await box.logged('plain-out.log', '\nend\n');
  const kept = readFileSync(join(box.home, 'logs', 'plain-out.log'));
  assert.ok(kept.equals(Buffer.concat([bytes, Buffer.from('\nend\n')])));
  const text = await box.logged('json-out.log', '"end"');
  for (const line of text.trimEnd().split('\n')) assert.equal(typeof JSON.parse(line), 'object');
  const { stdout } = await box.ok('logs', 'plain', '--nostream', '--lines', '5', '--json');
  for (const line of stdout.trimEnd().split('\n')) assert.equal(typeof JSON.parse(line), 'object');
});

const KILLED: readonly (readonly [format: string, chunk: number, flags: readonly string[]])[] = [
  ['plain', 0, []],
  ['plain', 10_000, []],
  ['with the time', 10_000, ['--log-date-format', '[T]']],
  ['JSON', 10_000, ['--log-type', 'json']],
];
for (const [format, chunk, flags] of KILLED) {
  const what = 'a supervisor that is killed under load: nothing is doubled or torn, one chunk at most is lost and told';
  test(`${what}; ${format}, writes of ${chunk || 'a line'}`, async (t) => {
    const box = await sandbox(t);
    const limits = ['--log-max-size', '2M', '--log-retain', 'all', '--no-log-compress'];
    const app = ['start', fixture('writes-lines.js'), '--name', 'app', ...limits, ...flags];
    await box.ok(...app, '--', '100000000', String(chunk));
    const log = join(box.home, 'logs', 'app-out.log');
    const more = async () => {
      const bytes = logBytes(log);
      await until(() => logBytes(log) > bytes + 300_000, 'more lines');
    };
    for (let round = 0; round < 2; round++) {
      await more();
      const before = box.supervisors();
      for (const pid of before) process.kill(pid, 'SIGKILL');
      await until(() => box.supervisors().some((pid) => !before.includes(pid)), 'another supervisor');
    }
    await more();
    await box.ok('stop', 'app');
    // The app ends within a line.
    const { numbers, notes } = checkLines(asPlain(wholeLog(log), format).replace(/[^\n]*\n$/, ''));
    const written = numbers.get('0') ?? [];
    const gaps = written.map((number, at) => number - (written[at - 1] ?? 0) - 1).filter((missing) => missing > 0);
    assert.ok(gaps.length <= 2, `gaps: ${gaps.join()}`);
    // A line has at least 85 bytes, and one on either side may have been cut.
    for (const missing of gaps) assert.ok(missing <= 65_536 / 85 + 3, `${missing} lines lost at once`);
    const told = notes.filter((note) => note.startsWith('upkeep: the supervisor was killed'));
    assert.equal(told.length, 2, notes.join('\n'));
  });
}

function asPlain(text: string, format: string): string {
  if (format === 'with the time') return text.replace(/^T: /gm, '');
  if (format !== 'JSON') return text;
  const lines = text.split('\n').slice(0, -1);
  return lines.map((line) => `${(JSON.parse(line) as { message: string }).message}\n`).join('');
}
