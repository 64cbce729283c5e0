import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fixture, NODE, type Sandbox, sandbox } from './harness.ts';
import { until } from './until.ts';

const HOUR_MS = 3_600_000;

interface ClockBox extends Sandbox {
  /** Sets the wall clock of all processes of upkeep in this sandbox. */
  readonly setClock: (aheadMs: number) => void;
  readonly wallClock: () => number;
}

/** A sandbox whose daemon and shared supervisor, and all that they start, have a wall clock that the test sets. */
async function clockBox(t: TestContext): Promise<ClockBox> {
  const box = await sandbox(t);
  let ahead = 0;
  const setClock = (ms: number): void => {
    ahead = ms;
    box.write('ahead', String(ms));
  };
  setClock(0);
  const preload = fixture('shifted-clock.cjs');
  Object.assign(box.env, { CLOCK_AHEAD: join(box.cwd, 'ahead'), NODE_OPTIONS: `--require=${preload}` });
  for (const folder of ['', 'run', 'logs']) mkdirSync(join(box.home, folder), { recursive: true, mode: 0o700 });
  // As a daemon would start it, but with an environment.
  for (const [program, args, socket] of [
    ['supervisor.cjs', ['shared'], 'supervisor-shared.sock'],
    ['daemon.cjs', [], 'daemon.sock'],
  ] as const) {
    const command = [join(process.cwd(), 'dist', program), box.home, ...args];
    spawn(NODE, command, { env: box.env, detached: true, stdio: 'ignore' }).unref();
    await until(() => existsSync(join(box.home, 'run', socket)), socket);
  }
  return { ...box, setClock, wallClock: () => Date.now() + ahead };
}

test('a wall clock that is set by hours restarts nothing, holds up nothing, and no time is told wrong', async (t) => {
  const box = await clockBox(t);
  const file = box.write(
    'ecosystem.json',
    JSON.stringify({
      apps: [
        { name: 'watched', script: fixture('health.js'), liveness: { event_loop: 2000 } },
        { name: 'crashes', script: fixture('throws-at-start.js'), restart_delay: 300, max_restarts: 1000 },
      ],
    }),
  );
  const startedAt = Date.now();
  await box.upkeep('start', file);
  for (const ahead of [HOUR_MS, -HOUR_MS, 0]) {
    const { restarts: crashesBefore = 0 } = (await box.app('crashes'))[0] ?? {};
    box.setClock(ahead);
    // Its delay is neither over at once nor an hour longer.
    const crashed = await until(
      async () => (await box.app('crashes')).find(({ restarts }) => restarts >= crashesBefore + 3),
      'restarts after the clock was set',
    );
    const runs = 1 + (Date.now() - startedAt) / 300;
    assert.ok(crashed.restarts <= runs, `${crashed.restarts} restarts are more than ${runs}`);

    const [watched] = await box.app('watched');
    assert.ok(watched?.state.kind === 'online', JSON.stringify(watched));
    assert.equal(watched.restarts, 0);
    const uptimeMs = box.wallClock() - watched.state.since;
    assert.ok(uptimeMs > 0 && uptimeMs <= Date.now() - startedAt + 1000, `an uptime of ${uptimeMs} ms`);
    for (const { at } of crashed.exits.slice(0, 2)) {
      const agoMs = box.wallClock() - at;
      assert.ok(agoMs >= 0 && agoMs < 60_000, `an exit ${agoMs} ms ago`);
    }
    // From the file that the daemon keeps, or from itself: not of an hour ago.
    const { stdout } = await box.ok('list');
    assert.match(stdout, /watched .*│ +\d+s │ +0 │ online/);
  }
});
