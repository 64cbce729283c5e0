import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Sandbox, sandbox } from './harness.ts';
import { upTo, wholeLog } from './log-files.ts';
import { until } from './until.ts';

const LINES = 20_000;
const FLOOD = `for (let i = 1; i <= ${LINES}; i++) console.log(i + ' ' + 'x'.repeat(80));`;

/** What an app writes last, in the words of its language, and how many lines that are. */
const LAST: Readonly<Record<string, { readonly file: string; readonly text: string; readonly lines?: number }>> = {
  'process.exit after much': { file: 'app.js', text: `${FLOOD} process.exit(1);` },
  'an error that nobody catches': { file: 'app.js', text: `${FLOOD} throw new Error('the end');` },
  'a rejection that nobody handles': { file: 'app.js', text: `${FLOOD} Promise.reject(new Error('the end'));` },
  'process.exit in an ES module': { file: 'app.mjs', text: `${FLOOD} process.exit(1);` },
  'exit handlers that write, too': {
    file: 'app.js',
    text: `process.on('exit', () => console.log(${LINES + 1} + ' x'));
      ${FLOOD} process.on('exit', () => console.log(${LINES + 2} + ' x')); process.exit(1);`,
    lines: LINES + 2,
  },
  'buffers and other encodings': {
    file: 'app.js',
    text: `for (let i = 1; i <= ${LINES}; i += 4) {
        process.stdout.write(Buffer.from(i + ' x\\n'));
        process.stdout.write((i + 1) + ' é\\n', 'latin1');
        process.stdout.write((i + 2) + ' ' + '世'.repeat(30) + '\\n');
        process.stdout.write(Buffer.from((i + 3) + ' x\\n').toString('hex'), 'hex');
      } process.exit(1);`,
  },
  'SIGKILL, of what had room': {
    file: 'app.js',
    text: `for (let i = 1; i <= 300; i++) console.log(i + ' ' + 'x'.repeat(80)); process.kill(process.pid, 'SIGKILL');`,
    lines: 300,
  },
  'os._exit in Python': {
    file: 'app.py',
    text: `import os
for i in range(1, ${LINES} + 1): os.write(1, b'%d %s\\n' % (i, b'x' * 80))
os._exit(1)`,
  },
};

const numbersIn = (log: string): number[] => [...log.matchAll(/^(\d+) /gm)].map(([, number]) => Number(number));

async function hasAll(box: Sandbox, log: string, lines: number): Promise<void> {
  await until(() => numbersIn(wholeLog(join(box.home, 'logs', log))).length >= lines, `${lines} lines in ${log}`);
  assert.deepEqual(numbersIn(wholeLog(join(box.home, 'logs', log))), upTo(lines));
}

for (const [what, { file, text, lines = LINES }] of Object.entries(LAST)) {
  test(`last words are kept: ${what}`, async (t) => {
    const box = await sandbox(t);
    const app = box.write(file, text);
    await box.upkeep('start', app, '--name', 'app', '--no-autorestart');
    await hasAll(box, 'app-out.log', lines);
    if (text.includes('the end')) assert.match(box.log('app-error.log'), /Error: the end\n +at /);
  });
}

test('last words are kept of a worker of a cluster', async (t) => {
  const box = await sandbox(t);
  const app = box.write(
    'app.js',
    `require('node:http').createServer().listen(process.env.PORT); ${FLOOD} process.exit(1);`,
  );
  await box.upkeep('start', app, '--name', 'app', '-i', '1', '--no-autorestart');
  await hasAll(box, 'app-out-0.log', LINES);
});

test('last words wait for a supervisor that stands still for a while', async (t) => {
  const box = await sandbox(t);
  const go = join(box.cwd, 'go');
  const app = box.write(
    'app.js',
    `const look = () => { if (!require('node:fs').existsSync(${JSON.stringify(go)})) return setTimeout(look, 5); ${FLOOD} process.exit(1); }; look();`,
  );
  await box.ok('start', app, '--name', 'app', '--no-autorestart');
  const [supervisor] = box.supervisors();
  const [row] = await box.rows();
  assert.ok(supervisor && row?.pid);
  process.kill(supervisor, 'SIGSTOP');
  try {
    box.write('go', '');
    await new Promise((resolve) => setTimeout(resolve, 1000));
    assert.doesNotThrow(() => process.kill(row.pid ?? 0, 0), 'it waits');
  } finally {
    process.kill(supervisor, 'SIGCONT');
  }
  await hasAll(box, 'app-out.log', LINES);
});
