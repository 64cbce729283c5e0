import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { sandbox } from './harness.ts';
import { until } from './until.ts';

const COUNT = 180;
/** In one supervisor, more than any frame holds. */
const BIG = 'x'.repeat(60_000);

describe('more than 10 MB of apps in one supervisor', () => {
  test('are started from one file, changed, taken over by the next daemon, and killed', async (t) => {
    const box = await sandbox(t);
    const apps = Array.from({ length: COUNT }, (_, at) => ({
      name: `app-${at}`,
      script: '/bin/sleep',
      args: '9876',
      env: { BIG: `${BIG}${at}` },
    }));
    await box.ok('start', box.write('apps.json', JSON.stringify({ apps })));
    await box.ok('restart', 'all');
    const before = await box.rows();
    assert.deepEqual([before.length, before.every(({ state }) => state.kind === 'online')], [COUNT, true]);

    process.kill(await box.daemonPid(), 'SIGKILL');
    const answered = async () => (await box.upkeep('ping')).code === 0;
    await until(answered, 'the next daemon');
    assert.deepEqual(
      (await box.rows()).map(({ pid }) => pid),
      before.map(({ pid }) => pid),
    );

    await box.ok('stop', 'app-1', 'app-2');
    assert.deepEqual(
      (await box.rows()).filter(({ state }) => state.kind === 'stopped').map(({ name }) => name),
      ['app-1', 'app-2'],
    );
    assert.match((await box.ok('kill')).stderr, /^stopped 178 processes and the daemon$/m);
  });
});
