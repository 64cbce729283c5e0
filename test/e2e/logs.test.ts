import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { chmodSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { startCommand } from './commands.ts';
import { fixture, NODE, sandbox } from './harness.ts';
import { noOtherUser, OF_NOBODY } from './nobody.ts';
import { sorted } from './sorted.ts';
import { until } from './until.ts';

test('the last lines of both streams, of stdout, of stderr, raw', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', fixture('prints-lines.js'), '--name', 'app', '--', '30');
  await box.logged('app-error.log', 'err 30\n');
  await box.logged('app-out.log', 'out 30\n');
  const show = async (...args: string[]) => (await box.ok('logs', 'app', '--nostream', ...args)).stdout;

  const lines = (text: string): readonly string[] => text.match(/^0\|app \| (out|err) \d+$/gm) ?? [];
  assert.equal(lines(await show()).length, 15);
  // Which of both comes last is a matter of when each was read.
  const both = ['out', 'err'].flatMap((stream) => Array.from({ length: 30 }, (_, at) => `0|app | ${stream} ${at + 1}`));
  assert.deepEqual(lines(await show('--lines', '60')).toSorted(), both.toSorted());
  assert.equal(await show('--lines', '2', '--out'), '0|app | out 29\n0|app | out 30\n');
  assert.equal(await show('--lines', '2', '--err'), '0|app | err 29\n0|app | err 30\n');
  assert.equal(await show('--lines', '1', '--out', '--raw'), 'out 30\n');
  assert.equal(await show('--lines', '0'), '');
  assert.equal((await show('--lines', '1000', '--out', '--raw')).split('\n').length, 31);
  assert.match((await box.fails('logs', 'app', '--lines', 'few')).stderr, /--lines takes a number, got "few"/);
});

test('raw lines come out as the bytes that they are, past and followed, matched by their texts', async (t) => {
  const box = await sandbox(t);
  const code = `const { existsSync } = require('node:fs');
    const bytes = (...parts) => Buffer.concat(parts.map((part) => Buffer.from(part)));
    process.stdout.write(bytes('grün ', [0xff, 0xfe, 0, 27, 0xc3], '\\r\\n', Buffer.alloc(3_000_000, 0xe2), '\\nplain\\n'));
    const timer = setInterval(() => {
      if (!existsSync('go')) return;
      clearInterval(timer);
      process.stdout.write(bytes('more grün ', [0x80], '\\n'));
    }, 20);
    setInterval(() => {}, 60_000);`;
  box.write('app.js', code);
  await box.ok('start', 'app.js');
  await box.logged('app-out.log', '\nplain\n');
  const file = () => readFileSync(join(box.home, 'logs', 'app-out.log'), 'latin1');
  const show = async (...args: string[]): Promise<string> => {
    const shown = startCommand(box, ['logs', 'app', '--raw', '--nostream', ...args], 'latin1');
    assert.equal(await shown.ended(), 0);
    return shown.stdout();
  };
  const past = file();
  assert.ok((await show()) === past, 'the last lines');
  assert.ok((await show('--since', '1h')) === past, 'all lines');
  const [green] = past.split('\n');
  assert.equal(await show('--grep', '^grün'), `${green}\n`);
  assert.equal(await show('--grep', '^grün', '--since', '1h'), `${green}\n`);

  const following = startCommand(box, ['logs', '--raw', '--grep', 'grün'], 'latin1');
  await until(() => following.stdout() === `${green}\n`, 'what is there', following.stdout);
  box.write('go', '');
  await box.logged('app-out.log', 'more grün');
  const all = `${green}\n${Buffer.from('more grün ').toString('latin1')}\x80\n`;
  await until(() => following.stdout() === all, 'what comes', following.stdout);
  await following.interrupt();
});

test('without a target, those of all apps', async (t) => {
  const box = await sandbox(t);
  assert.equal((await box.ok('logs', '--nostream')).stdout, '');
  await box.ok('start', fixture('prints-lines.js'), '--name', 'one', '--', '1');
  await box.ok('start', fixture('prints-lines.js'), '--name', 'two', '--', '1');
  await box.logged('one-error.log', 'err 1\n');
  await box.logged('two-error.log', 'err 1\n');
  const { stdout } = await box.ok('logs', '--nostream', '--err');
  assert.match(stdout, /0\|one \| err 1/);
  assert.match(stdout, /1\|two \| err 1/);
});

test('they are followed: what comes later, restarts, and apps that come later', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', fixture('prints-lines.js'), '--name', 'one', '--', '1');
  await box.logged('one-out.log', 'out 1\n');
  const following = startCommand(box, ['logs', '--raw', '--out']);
  await until(() => following.stdout().includes('out 1\n'), 'the lines that are there', following.stdout);
  await box.ok('restart', 'one');
  await until(() => following.stdout() === 'out 1\nout 1\n', 'the lines of the restart', following.stdout);
  await box.ok('start', fixture('prints-lines.js'), '--name', 'two', '--', '2');
  await until(() => following.stdout() === 'out 1\nout 1\nout 1\nout 2\n', 'the other app', following.stdout);
  await box.ok('flush');
  await box.ok('restart', 'one');
  await until(() => following.stdout().endsWith('out 2\nout 1\n'), 'the lines after flush', following.stdout);
  assert.equal(await following.interrupt(), 130);
});

test('lines of all instances and both streams come in the order of their times', async (t) => {
  const box = await sandbox(t);
  // Each line is written when the one before is in its log.
  const code = `const { existsSync } = require('node:fs');
    let next = Number(process.env.NODE_APP_INSTANCE);
    setInterval(() => {
      if (next > 11 || !existsSync('turn-' + next)) return;
      (next % 3 === 0 ? console.error : console.log)('line ' + next);
      next += 2;
    }, 5);`;
  box.write('app.js', code);
  await box.ok('start', 'app.js', '-i', '2', '--listen-timeout', '300');
  for (let turn = 0; turn < 12; turn++) {
    box.write(`turn-${turn}`, '');
    await box.logged(`app-${turn % 3 === 0 ? 'error' : 'out'}-${turn % 2}.log`, `line ${turn}\n`);
  }
  const expected = Array.from({ length: 12 }, (_, index) => `line ${index}\n`).join('');
  const shown = async () => (await box.ok('logs', '--nostream', '--raw')).stdout;
  await until(async () => (await shown()) === expected, 'the lines in order', shown);
});

test('of a time, matching, of a level, in other shapes', async (t) => {
  const box = await sandbox(t);
  const code = `console.log('first'); console.log('{"level":"info","msg":"second"}'); console.log('{"level":50,"msg":"third"}');
    setInterval(() => {}, 60_000);`;
  box.write('app.js', code);
  await box.ok('start', 'app.js');
  await box.logged('app-out.log', 'third"}\n');
  const show = async (...args: string[]) => (await box.ok('logs', 'app', '--nostream', ...args)).stdout;
  const raw = async (...args: string[]) => (await show('--raw', ...args)).split('\n').slice(0, -1);
  const all = ['first', '{"level":"info","msg":"second"}', '{"level":50,"msg":"third"}'];
  assert.deepEqual(await raw('--since', '1h'), all);
  assert.deepEqual(await raw('--since', '1h', '--lines', '1'), all.slice(-1));
  assert.deepEqual(await raw('--until', '1h'), []);
  assert.deepEqual(await raw('--since', '2020-01-01', '--until', '2020-01-02'), []);
  assert.deepEqual(await raw('--grep', 'fir|third'), [all[0], all[2]]);
  assert.deepEqual(await raw('--grep', 'fir|third', '--lines', '1'), [all[2]]);
  assert.deepEqual(await raw('--level', 'info'), all.slice(1));
  assert.deepEqual(await raw('--level', 'error'), all.slice(2));
  const objects = (await show('--json'))
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.deepEqual(
    objects.map(({ time: _time, ...rest }) => rest),
    [
      { app: 'app', instance: 0, stream: 'out', message: 'first' },
      { app: 'app', instance: 0, stream: 'out', level: 'info', msg: 'second' },
      { app: 'app', instance: 0, stream: 'out', level: 50, msg: 'third' },
    ],
  );
  assert.ok(objects.every(({ time }) => Math.abs(Date.parse(String(time)) - Date.now()) < 60_000));
  assert.match(await show('--format', '--lines', '3'), /^timestamp=\d{4}-\S+Z app=app id=0 type=out message=first\n/);
  assert.match(await show('--timestamp', '--lines', '3'), /^0\|app \| \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d: first\n/);
  assert.match(await show('--timestamp', '[at] HH', '--lines', '3'), /^0\|app \| at \d\d: first\n/);
  box.env['FORCE_COLOR'] = '1';
  delete box.env['NO_COLOR'];
  assert.ok((await show('--highlight', 'irs', '--lines', '3')).includes('f\x1b[7mirs\x1b[27mt'));
  for (const [flag, value] of [
    ['--since', 'soon'],
    ['--grep', '('],
    ['--level', 'loud'],
  ] as const)
    assert.match((await box.fails('logs', flag, value)).stderr, new RegExp(`upkeep: ${flag}: `));
});

test('lines of an app in JSON, shown as the others are', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', fixture('prints-lines.js'), '--name', 'app', '--log-type', 'json', '--', '1');
  await box.logged('app-error.log', 'err 1');
  const { stdout } = await box.ok('logs', '--nostream', '--json');
  const objects = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.deepEqual(
    objects.map(({ stream, message }) => [stream, message]),
    [
      ['out', 'out 1'],
      ['err', 'err 1'],
    ],
  );
});

test('a reader that has had enough ends them quietly, also when nothing comes any more', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', fixture('prints-lines.js'), '--name', 'app', '--', '100');
  await box.logged('app-error.log', 'err 100\n');
  const head = (args: string) =>
    new Promise<{ stdout: string; stderr: string }>((resolve, reject) => {
      const command = `"${NODE}" "${join(process.cwd(), 'dist', 'upkeep.cjs')}" logs app ${args} | head -n 2`;
      execFile('sh', ['-c', command], { env: box.env, timeout: 30_000 }, (error, stdout, stderr) => {
        if (error) reject(error);
        else resolve({ stdout, stderr });
      });
    });
  const isGnu = spawnSync('tail', ['--version'], { encoding: 'utf8' }).stdout?.includes('GNU');
  for (const args of ['--nostream --lines 100000', ...(isGnu ? ['--lines 100'] : [])]) {
    const { stdout, stderr } = await head(args);
    assert.equal(stdout.split('\n').length, 3);
    assert.equal(stderr, '');
  }
});

test('each of many lines is kept once, whole and in order', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', fixture('prints-lines.js'), '--name', 'app', '--', '20000');
  const log = await box.logged('app-out.log', 'out 20000\n');
  assert.equal(log, Array.from({ length: 20_000 }, (_, index) => `out ${index + 1}\n`).join(''));
});

test('text that is cut anywhere stays whole', async (t) => {
  const box = await sandbox(t);
  const line = 'grüße, 世界 🌍 '.repeat(2000);
  const code = `const line = ${JSON.stringify(line)}; const bytes = Buffer.from(line + '\\n');
    (async () => { for (let at = 0; at < bytes.length; at += 1013) {
      process.stdout.write(bytes.subarray(at, at + 1013)); await new Promise(setImmediate);
    } setInterval(() => {}, 60_000); })();`;
  box.write('app.js', code);
  await box.ok('start', 'app.js', '--log', 'both.log', '--output', 'out.log');
  await until(() => readFileSync(join(box.cwd, 'out.log'), 'utf8').endsWith('\n'), 'the line');
  assert.equal(readFileSync(join(box.cwd, 'out.log'), 'utf8'), `${line}\n`);
  assert.equal(readFileSync(join(box.cwd, 'both.log'), 'utf8'), `${line}\n`);
  const { stdout } = await box.ok('logs', 'app', '--nostream', '--raw', '--lines', '1');
  assert.equal(stdout, `${line}\n`);
});

test('the last words of an app that ends at once are kept', async (t) => {
  const box = await sandbox(t);
  box.write('app.js', "process.stdout.write('no newline at the end'); process.exit(1);");
  await box.fails('start', 'app.js', '--no-autorestart', '--merge-logs');
  assert.match(await box.logged('app-out.log', 'no newline at the end'), /^no newline at the end\n?$/);
});

test('files of ones own, one for both streams, one for all instances, and none', async (t) => {
  const box = await sandbox(t);
  const script = fixture('prints-lines.js');
  const file = (name: string) => readFileSync(join(box.cwd, name), 'utf8');
  await box.ok('start', script, '--name', 'own', '-o', 'a/out.log', '-e', 'a/err.log', '--', '2');
  await until(() => file('a/err.log').includes('err 2'), 'stderr');
  assert.equal(file('a/out.log'), 'out 1\nout 2\n');
  assert.equal(file('a/err.log'), 'err 1\nerr 2\n');

  await box.ok('start', script, '--name', 'both', '-l', 'both.log', '--', '2');
  await until(() => file('both.log').trim().split('\n').length === 4, 'both streams');
  assert.deepEqual(sorted(file('both.log').trim().split('\n')), ['err 1', 'err 2', 'out 1', 'out 2']);

  const merged = ['--merge-logs', '-i', '2', '--listen-timeout', '200', '-o', 'merged.log'];
  await box.ok('start', script, '--name', 'merged', ...merged, '--', '500');
  await until(() => file('merged.log').match(/out 500\n/g)?.length === 2, 'the lines of both instances');
  const lines = file('merged.log').trim().split('\n');
  assert.equal(lines.length, 1000);
  assert.ok(lines.every((line) => /^out \d+$/.test(line)));

  await box.ok('start', script, '--name', 'none', '--disable-logs', '--', '2');
  const why = 'none keeps no logs (disable_logs, or /dev/null)\n';
  for (const command of [
    ['logs', 'none', '--nostream'],
    ['logs', 'none'],
    ['flush', 'none'],
  ]) {
    const { stdout, stderr } = await box.ok(...command);
    assert.deepEqual([stdout, stderr], ['', why], command.join(' '));
  }
  await box.ok('start', script, '--name', 'device', '-o', '/dev/stderr', '-e', '/dev/null', '--', '2');
  assert.equal((await box.ok('logs', 'device')).stderr, 'device keeps no logs (they go to /dev/stderr)\n');
  assert.equal(
    (await box.ok('logs', 'device', '--err')).stderr,
    'device keeps no log of stderr (disable_logs, or /dev/null)\n',
  );
  assert.equal(statSync(join(box.home, 'logs', 'none-out.log'), { throwIfNoEntry: false }), undefined);
});

test('flush empties the files of the app that is named, or of all, and what comes later is kept', async (t) => {
  const box = await sandbox(t);
  for (const name of ['one', 'two']) {
    await box.ok('start', fixture('prints-lines.js'), '--name', name, '--', '3');
    await box.logged(`${name}-out.log`, 'out 3\n');
    await box.logged(`${name}-error.log`, 'err 3\n');
  }
  await box.ok('flush', 'one');
  assert.deepEqual([box.log('one-out.log'), box.log('one-error.log')], ['', '']);
  assert.match(box.log('two-out.log'), /out 3/);
  await box.ok('flush');
  assert.equal(box.log('two-out.log'), '');
  await box.ok('restart', 'one');
  assert.equal(await box.logged('one-out.log', 'out 3\n'), 'out 1\nout 2\nout 3\n');
});

test('a log that may not be read keeps no other from being shown or emptied', { skip: noOtherUser() }, async (t) => {
  const box = await sandbox(t, OF_NOBODY);
  for (const name of ['one', 'two']) {
    await box.ok('start', fixture('prints-lines.js'), '--name', name, '--', '1');
    await box.logged(`${name}-out.log`, 'out 1\n');
    await box.logged(`${name}-error.log`, 'err 1\n');
  }
  const logs = join(box.home, 'logs');
  const closed = join(logs, 'one-out.log');
  chmodSync(closed, 0);
  const shown = await box.fails('logs', '--nostream', '--raw');
  assert.deepEqual([shown.code, sorted(shown.stdout.split('\n'))], [1, ['', 'err 1', 'err 1', 'out 1']]);
  const remedy = `the log ${closed}: permission denied (EACCES); \`chmod u+rw ${closed}\` opens it\n`;
  assert.equal(shown.stderr, `upkeep: cannot read ${remedy}`);
  const flushed = await box.fails('flush');
  assert.equal(flushed.code, 1);
  assert.ok(flushed.stderr.startsWith(`upkeep: cannot empty ${remedy}emptied all the same: `), flushed.stderr);
  assert.deepEqual([box.log('one-out.log'), box.log('two-out.log')], ['out 1\n', '']);

  chmodSync(logs, 0);
  const remedyOfFolder = `the log files in ${logs}: permission denied (EACCES); \`chmod u+rwx ${logs}\` opens it\n`;
  for (const [command, doing] of [['logs', 'read'] as const, ['flush', 'empty'] as const]) {
    const failed = await box.fails(command, ...(command === 'logs' ? ['--nostream'] : []));
    assert.deepEqual([failed.code, failed.stderr], [1, `upkeep: cannot ${doing} ${remedyOfFolder}`]);
  }
  const reloaded = await box.fails('reloadLogs');
  assert.deepEqual([reloaded.code, /opened anew/.test(reloaded.stderr)], [1, false]);
  assert.match(reloaded.stderr, /upkeep: one \(0\) has a log that cannot be written to: EACCES\n/);
  chmodSync(logs, 0o700);
  chmodSync(closed, 0o600);
  assert.match((await box.ok('reloadLogs')).stderr, /all log files are opened anew/);
});

test('logs of an app that is gone as its logs stay', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', fixture('prints-lines.js'), '--name', 'app', '--', '3');
  await box.logged('app-out.log', 'out 3\n');
  await box.ok('stop', 'app');
  assert.match((await box.ok('logs', 'app', '--nostream')).stdout, /out 3/);
  await box.ok('delete', 'app');
  assert.match(box.log('app-out.log'), /out 3/);
});
