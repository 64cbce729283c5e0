import assert from 'node:assert/strict';
import { test } from 'node:test';
import { appSpec, clusterSpec } from '../fakes/app-spec.ts';
import { Box, pids, start } from '../fakes/box.ts';
import { told } from '../fakes/supervised.ts';

for (const make of [appSpec, clusterSpec]) {
  const { mode } = make();
  test(`what runs in ${mode} mode is not ended for what is not there`, async (t) => {
    const box = new Box(t);
    const daemon = await box.daemon();
    const spec = make({ program: { cwd: '/srv/current' } });
    await start(daemon, spec, appSpec({ name: 'other' }));
    const [before, other] = pids(daemon);
    box.machine.links.set('/srv/current', null);
    box.machine.targets.set('/srv/current', 'releases/2');
    const message = 'its working directory is not there: /srv/current leads to releases/2';
    for (const kind of ['restart', 'reload'] as const) {
      const changed = { ...spec, env: { A: '1' } };
      assert.deepEqual(told(await daemon.operate({ kind, selectors: ['all'] })), [message, 'ok']);
      assert.deepEqual(told(await daemon.apply({ specs: [changed], existing: kind })), [message]);
    }
    assert.equal(pids(daemon)[0], before);
    assert.notEqual(pids(daemon)[1], other);
    assert.deepEqual(daemon.views.describe(['api'])[0]?.app.spec, spec);

    box.machine.links.set('/srv/current', '/srv/releases/2');
    box.machine.links.set('/srv/api.js', null);
    const [script] = told(await daemon.operate({ kind: 'restart', selectors: ['api'] }));
    assert.equal(script, 'its script is not there: /srv/api.js');
  });
}

test('what is down is started whether it is there or not: it is tried again by its policy', async (t) => {
  const box = new Box(t);
  const daemon = await box.daemon();
  await start(daemon, appSpec());
  await daemon.operate({ kind: 'stop', selectors: ['api'] });
  box.machine.links.set('/srv', null);
  assert.deepEqual(told(await daemon.operate({ kind: 'restart', selectors: ['api'] })), ['ok']);
});
