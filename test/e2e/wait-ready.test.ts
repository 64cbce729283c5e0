import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fixture, sandbox } from './harness.ts';
import { isAlive } from './processes.ts';
import { until } from './until.ts';

for (const [mode, flags, log] of [
  ['fork', [], 'web-out.log'],
  ['cluster', ['-i', '1'], 'web-out-0.log'],
] as const) {
  test(`${mode} mode: starting until it says ready, online from then on`, async (t) => {
    const box = await sandbox(t);
    box.env['GATE'] = `${box.cwd}/gate`;
    const more = ['--name', 'web', '--wait-ready', '--listen-timeout', '30000', ...flags];
    const started = box.upkeep('start', fixture('ready-when-file.js'), ...more);
    await box.logged(log, /waits \d+/);
    assert.deepEqual(
      (await box.rows()).map(({ state }) => state.kind),
      ['starting'],
    );
    box.write('gate', '');
    const { code, stderr } = await started;
    assert.equal(code, 0, stderr);
    assert.match(box.log(log), /ready \d+/);
    assert.deepEqual(
      (await box.rows()).map(({ state }) => state.kind),
      ['online'],
    );
  });

  test(`${mode} mode: no ready in time is a failed start, and the process does not stay`, async (t) => {
    const box = await sandbox(t);
    const more = ['--name', 'web', '--wait-ready', '--listen-timeout', '500', '--restart-delay', '60000', ...flags];
    const { stderr } = await box.fails('start', fixture('never-ready.js'), ...more);
    assert.match(stderr, /✗ web \(0\): did not send 'ready' within 500 ms \(wait_ready\)/);
    assert.match(stderr, /still warming up/);
    assert.match(stderr, /next: call process\.send\('ready'\)/);
    const row = await until(async () => (await box.rows()).find(({ state }) => state.kind === 'backoff'), 'the wait');
    assert.equal(row.pid, null);
  });
}

test('describe says what it waits for', async (t) => {
  const box = await sandbox(t);
  await box.ok('start', fixture('says-ready.js'), '--name', 'web', '--wait-ready');
  const { stdout } = await box.ok('describe', 'web');
  assert.match(stdout, /ready when\s+it sends 'ready'/);
  assert.match(stdout, /listen timeout\s+3000 ms/);
  assert.equal(box.log('web-out.log'), 'listening\nsaying ready\n');
});

test('an app that is stopped before it is ready ends', async (t) => {
  const box = await sandbox(t);
  box.env['GATE'] = `${box.cwd}/gate`;
  const more = ['--name', 'web', '--wait-ready', '--listen-timeout', '30000'];
  const started = box.upkeep('start', fixture('ready-when-file.js'), ...more);
  const log = await box.logged('web-out.log', /waits \d+/);
  await box.ok('stop', 'web');
  assert.equal(isAlive(Number(/waits (\d+)/.exec(log)?.[1])), false);
  assert.notEqual((await started).code, 0);
  assert.equal((await box.rows())[0]?.state.kind, 'stopped');
});
