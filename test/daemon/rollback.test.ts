import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import type { Daemon } from '../../src/daemon/daemon.ts';
import { type AppSpec, programToRun } from '../../src/domain/app-spec.ts';
import { appSpec, clusterSpec } from '../fakes/app-spec.ts';
import { Box, start, states } from '../fakes/box.ts';
import { type FakeProcess, type ProcessScript, serves, turn, waits } from '../fakes/ports.ts';
import { told } from '../fakes/supervised.ts';

/** It serves, unless it runs in a release whose name begins with `bad`. */
const byRelease: ProcessScript = {
  ...serves,
  run: (process) => (releaseOf(process).startsWith('bad') ? process.exit(1) : process.listen()),
};

const releaseOf = ({ request }: FakeProcess): string => programToRun(request.spec).cwd.replace('/srv/releases/', '');
const FAILED = 'exited with code 1';

/** An app in a folder that a link leads to, of which release 1 serves. */
async function deployed(t: TestContext, spec: AppSpec) {
  const box = new Box(t);
  box.machine.onStart = ({ ports }) => {
    ports.launcher.script = byRelease;
  };
  const program = { ...spec.program, script: '/srv/current/app.js', cwd: '/srv/current' };
  const inCurrent = { ...spec, program };
  const link = (release: string): void => {
    box.machine.links.set('/srv/current', `/srv/releases/${release}`);
    box.machine.links.set('/srv/current/app.js', `/srv/releases/${release}/app.js`);
  };
  link('1');
  const daemon = await box.daemon();
  assert.deepEqual(told(await start(daemon, inCurrent)).at(-1), 'ok');
  const to = async (release: string, kind: 'restart' | 'reload'): Promise<string | undefined> => {
    link(release);
    return told(await daemon.operate({ kind, selectors: ['api'] }))[0];
  };
  const launcher = [...box.machine.supervisors.values()][0]?.ports.launcher as FakePortsLauncher;
  /** Where it runs, by its processes; and where it is said to run. */
  const runs = (): readonly string[] => [...new Set(launcher.alive.map(releaseOf))];
  return { box, daemon, link, to, runs, spec: inCurrent };
}

type FakePortsLauncher = Box['machine']['shared']['ports']['launcher'];

/** Where it is said to run. */
const said = (daemon: Daemon): string | undefined =>
  daemon.views.describe(['api'])[0]?.app.spec.program.release?.cwd.replace('/srv/releases/', '');

for (const [mode, make] of [
  ['fork', appSpec],
  ['cluster', clusterSpec],
] as const) {
  describe(`a rollback in ${mode} mode`, () => {
    const spec = make({ instances: mode === 'fork' ? 1 : 2, restart: { delayMs: 1000 } });

    test('goes back over a restart that failed, and then further', async (t) => {
      const { daemon, to, runs } = await deployed(t, spec);
      assert.equal(await to('bad2', 'restart'), FAILED);
      assert.equal(told(await daemon.rollback(['api']))[0], 'ok');
      assert.deepEqual([runs(), said(daemon)], [['1'], '1']);
      await assert.rejects(daemon.rollback(['api']), /has nothing to go back to/);

      assert.equal(await to('3', 'reload'), 'ok');
      assert.equal(await to('bad4', 'restart'), FAILED);
      assert.equal(await to('bad5', 'restart'), FAILED);
      assert.equal(told(await daemon.rollback(['api'], true))[0], 'ok');
      assert.deepEqual(runs(), ['3']);
      assert.equal(told(await daemon.rollback(['api']))[0], 'ok');
      assert.deepEqual(runs(), ['1']);
    });

    test('goes back over a file that was started and failed', async (t) => {
      const { daemon, link, runs, spec: known } = await deployed(t, spec);
      link('bad2');
      const outcomes = await daemon.apply({ specs: [{ ...known, env: { A: '1' } }], existing: 'restart' });
      assert.equal(told(outcomes)[0], FAILED);
      assert.equal(told(await daemon.rollback(['api']))[0], 'ok');
      assert.deepEqual(runs(), ['1']);
    });

    test('goes back over a reload and a restart that failed', async (t) => {
      const { daemon, to, runs } = await deployed(t, spec);
      assert.equal(await to('bad2', 'reload'), FAILED);
      assert.equal(await to('bad2', 'restart'), FAILED);
      assert.equal(told(await daemon.rollback(['api']))[0], 'ok');
      assert.deepEqual(runs(), ['1']);
    });

    test('never goes to what has not served', async (t) => {
      const { daemon, to, runs } = await deployed(t, spec);
      assert.equal(await to('bad2', 'restart'), FAILED);
      assert.equal(await to('3', 'reload'), 'ok');
      assert.equal(told(await daemon.rollback(['api']))[0], 'ok');
      assert.deepEqual(runs(), ['1']);
      assert.equal(told(await daemon.rollback(['api']))[0], 'ok');
      assert.deepEqual(runs(), ['3']);
    });

    test('knows of no failure that was mended by going on', async (t) => {
      const { daemon, to } = await deployed(t, spec);
      assert.equal(await to('bad2', 'restart'), FAILED);
      assert.equal(await to('1', 'restart'), 'ok');
      await assert.rejects(daemon.rollback(['api']), /has nothing to go back to/);
    });

    test('goes to what failed at first and came up by itself', async (t) => {
      const { box, daemon, link, to, runs, spec: known } = await deployed(t, spec);
      assert.equal(await to('bad2', 'restart'), FAILED);
      const [supervisor] = box.machine.supervisors.values();
      const { launcher, clock } = (supervisor as Box['machine']['shared']).ports;
      launcher.script = serves;
      await clock.advance(60_000);
      await turn();
      assert.ok(states(daemon).every((state) => state.endsWith('online')));
      launcher.script = byRelease;
      link('3');
      assert.equal(told(await daemon.apply({ specs: [known], existing: 'reload' }))[0], 'ok');
      launcher.script = serves;
      assert.equal(told(await daemon.rollback(['api']))[0], 'ok');
      assert.deepEqual(runs(), ['bad2']);
    });

    test('goes over a reload that a restart called off', async (t) => {
      const { box, daemon, link, to, runs } = await deployed(t, spec);
      const { launcher } = ([...box.machine.supervisors.values()][0] as Box['machine']['shared']).ports;
      const count = launcher.processes.length;
      link('2');
      launcher.script = waits;
      const reload = daemon.operate({ kind: 'reload', selectors: ['api'] });
      while (launcher.processes.length === count) await turn();
      launcher.script = byRelease;
      assert.equal(await to('3', 'restart'), 'ok');
      assert.equal(told(await reload)[0], 'called off by restart');
      assert.deepEqual([runs(), said(daemon)], [['3'], '3']);
      assert.equal(told(await daemon.rollback(['api']))[0], 'ok');
      assert.deepEqual(runs(), ['1']);
    });

    test('is remembered by the next daemon', async (t) => {
      const { box, to, runs } = await deployed(t, spec);
      assert.equal(await to('bad2', 'restart'), FAILED);
      for (const supervisor of box.machine.supervisors.values()) supervisor.disconnect();
      const next = await box.daemon();
      assert.equal(told(await next.rollback(['api']))[0], 'ok');
      assert.deepEqual(runs(), ['1']);
    });
  });
}

test('an app that has never served has nothing to go back to', async (t) => {
  const box = new Box(t);
  const daemon = await box.daemon();
  box.machine.onStart = ({ ports }) => {
    ports.launcher.script = byRelease;
  };
  const bad = appSpec({ program: { cwd: '/srv/releases/bad1' } });
  assert.deepEqual(told(await start(daemon, bad)), [FAILED]);
  const good = appSpec({ program: { cwd: '/srv/releases/2' } });
  assert.deepEqual(told(await daemon.apply({ specs: [good], existing: 'restart' })), ['ok']);
  await assert.rejects(daemon.rollback(['api']), /has nothing to go back to/);
});

test('a fork-mode reload that failed is told to run where it runs', async (t) => {
  const { daemon, to, box } = await deployed(t, appSpec());
  assert.equal(await to('bad2', 'reload'), FAILED);
  assert.equal(said(daemon), 'bad2');
  assert.equal((await box.saved())[0]?.spec.program.release?.cwd, '/srv/releases/bad2');
});

test('a reload of a cluster that is down is told to run where it runs', async (t) => {
  const { daemon, to } = await deployed(t, clusterSpec({ instances: 2 }));
  assert.equal(await to('bad2', 'restart'), FAILED);
  assert.equal(await to('bad3', 'reload'), FAILED);
  assert.equal(said(daemon), 'bad3');
});

test('a cluster whose reload failed is told to run where it runs', async (t) => {
  const { daemon, to, runs } = await deployed(t, clusterSpec({ instances: 2 }));
  assert.equal(await to('bad2', 'reload'), FAILED);
  assert.deepEqual([said(daemon), runs()], ['1', ['1']]);
});

test('a reload whose first new worker took the place of an old one, and then failed, is taken back', async (t) => {
  const spec = clusterSpec({ instances: 2, rollout: { maxSurge: 0, maxUnavailable: 1 } });
  const { daemon, to, runs } = await deployed(t, spec);
  assert.equal(await to('2', 'reload'), 'ok');
  assert.equal(await to('bad3', 'reload'), FAILED);
  assert.equal(said(daemon), '2');
  assert.equal(told(await daemon.rollback(['api']))[0], 'ok');
  assert.deepEqual(runs(), ['2']);
});

test('a reload that let the only worker go first is told to run where it runs', async (t) => {
  const spec = clusterSpec({ rollout: { maxSurge: 0, maxUnavailable: 1 } });
  const { box, daemon, to, runs } = await deployed(t, spec);
  assert.equal(await to('bad2', 'reload'), FAILED);
  assert.equal(said(daemon), 'bad2');
  for (const supervisor of box.machine.supervisors.values()) supervisor.disconnect();
  const next = await box.daemon();
  assert.equal(said(next), 'bad2');
  assert.equal(told(await next.rollback(['api']))[0], 'ok');
  assert.deepEqual(runs(), ['1']);
});
