import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { appSpec, clusterSpec } from '../fakes/app-spec.ts';
import { Box, pids, start } from '../fakes/box.ts';
import { turn, waits } from '../fakes/ports.ts';
import { told } from '../fakes/supervised.ts';

const BUSY = 'a reload of api is running';

describe('while a reload runs', () => {
  async function reloading(t: TestContext) {
    const box = new Box(t);
    const daemon = await box.daemon();
    await start(daemon, clusterSpec({ instances: 2 }), appSpec({ name: 'other' }));
    const { launcher } = box.machine.clusterSupervisor.ports;
    launcher.script = waits;
    const spec = clusterSpec({ instances: 2, env: { BUILD: '2' } });
    const reload = daemon.apply({ specs: [spec], existing: 'reload' });
    while (launcher.alive.length < 3) await turn();
    /** Lets it fail: what it was to bring in is not there. */
    const fail = async (): Promise<void> => {
      launcher.of(0).exit(1);
      assert.equal(told(await reload)[0], 'exited with code 1');
    };
    return { box, daemon, spec, fail, isReloading: () => daemon.views.describe(['api'])[0]?.reloading };
  }

  test('it is told', async (t) => {
    const { fail, isReloading } = await reloading(t);
    assert.equal(isReloading(), true);
    await fail();
    assert.equal(isReloading(), false);
  });

  test('the same change is refused, and a start of its file', async (t) => {
    const { daemon, spec, fail } = await reloading(t);
    const before = pids(daemon);
    assert.deepEqual(told(await daemon.apply({ specs: [spec], existing: 'reload' })), [BUSY, BUSY]);
    const started = await daemon.apply({ specs: [spec], existing: 'restart', sparesReload: true });
    assert.deepEqual(told(started), [BUSY, BUSY]);
    assert.deepEqual(pids(daemon), before);
    await fail();
    assert.deepEqual(daemon.views.describe(['api'])[0]?.app.spec.env, {});
  });

  test('a change to fewer instances is refused, and calls nothing off', async (t) => {
    const { daemon, spec, fail } = await reloading(t);
    const fewer = { ...spec, instances: 1 };
    assert.deepEqual(told(await daemon.apply({ specs: [fewer], existing: 'reload' })), [BUSY, BUSY]);
    await assert.rejects(daemon.scale('api', { kind: 'to', count: 1 }), { code: 'APP_BUSY', message: BUSY });
    await fail();
  });

  test('another app is reloaded all the same', async (t) => {
    const { daemon, fail } = await reloading(t);
    const outcomes = await daemon.operate({ kind: 'reload', selectors: ['all'] });
    assert.deepEqual(
      outcomes.map(({ name, ok }) => [name, ok]),
      [
        ['api', false],
        ['api', false],
        ['other', true],
      ],
    );
    await fail();
  });
});

for (const spec of [appSpec(), clusterSpec({ instances: 2 })]) {
  test(`an app that is just being started in ${spec.mode} mode is not started again`, async (t) => {
    const box = new Box(t);
    const daemon = await box.daemon();
    const first = start(daemon, spec);
    await assert.rejects(start(daemon, spec), { code: 'APP_EXISTS' });
    assert.ok(told(await first).every((each) => each === 'ok'));
    const [supervisor] = box.machine.supervisors.values();
    assert.equal(supervisor?.ports.launcher.processes.length, spec.instances);
  });
}
