import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sandbox } from './harness.ts';
import { get } from './requests.ts';

const SERVER = `require('node:http').createServer((q, r) => r.end('served')).listen(process.env.PORT, '127.0.0.1');`;
const IDLES = 'setInterval(() => {}, 60_000);';

/** What an app may do to its channel, and to what it is reached by. */
const SPOILS: Readonly<Record<string, string>> = {
  'closes its channel': 'process.disconnect();',
  'writes half a message to it': `require('node:fs').writeSync(3, '{"cmd":"NODE');`,
  'writes what is no message': `require('node:fs').writeSync(3, 'hello\\n');`,
  'removes process.send': 'process.send = undefined;',
  'wraps process.send': 'const { send } = process; process.send = (...all) => { throw new Error(all); };',
  'replaces process.on and process.emit': 'process.on = null; process.emit = () => true;',
  'changes process.argv': `process.argv = ['node', '/nowhere'];`,
};

for (const [what, code] of Object.entries(SPOILS)) {
  test(`an app that ${what} is online all the same, and stops`, async (t) => {
    const box = await sandbox(t);
    box.write('serves.js', code + SERVER);
    box.write('idles.js', code + IDLES);
    await box.ok('start', 'serves.js', 'idles.js');
    assert.equal((await get(box.port)).body, 'served');
    assert.deepEqual(
      (await box.rows()).map(({ state, restarts }) => [state.kind, restarts]),
      [
        ['online', 0],
        ['online', 0],
      ],
    );
    assert.equal(box.log('serves-error.log') + box.log('idles-error.log'), '');
    await box.ok('stop', 'all');
  });
}

test('where one listens that is not heard is seen from outside', { skip: process.platform !== 'linux' }, async (t) => {
  const box = await sandbox(t);
  box.write('serves.js', `process.disconnect();${SERVER}`);
  await box.ok('start', 'serves.js');
  assert.match((await box.ok('describe', 'serves')).stdout, new RegExp(`listens.*:${box.port}\\b`));
});

test('an app that handles what its main module throws is online, and that has run once', async (t) => {
  const box = await sandbox(t);
  const code = (rest: string) =>
    `process.on('uncaughtException', () => console.log('handled')); console.log('runs'); ${IDLES} ${rest}`;
  box.write('common.cjs', code('throw new Error();'));
  box.write('module.mjs', code('await new Promise((resolve) => setTimeout(resolve, 50)); throw new Error();'));
  await box.ok('start', 'common.cjs', 'module.mjs');
  for (const name of ['common', 'module']) assert.equal(box.log(`${name}-out.log`), 'runs\nhandled\n');
});

test('no error of an app shows the code of upkeep', async (t) => {
  const box = await sandbox(t);
  box.write('throws.js', `process.emit('error', new Error('of the app'));`);
  await box.fails('start', 'throws.js', '--no-autorestart');
  const shown = await box.logged('throws-error.log', 'of the app');
  assert.ok(Math.max(...shown.split('\n').map((line) => line.length)) < 300, shown);
});
