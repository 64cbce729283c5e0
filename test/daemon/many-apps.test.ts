import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import type { Daemon } from '../../src/daemon/daemon.ts';
import { Registry } from '../../src/daemon/registry.ts';
import { MOST_SPEC_BYTES } from '../../src/domain/app-spec.ts';
import { until } from '../e2e/until.ts';
import { appSpec, clusterSpec } from '../fakes/app-spec.ts';
import { Box, pids, silence, start, states } from '../fakes/box.ts';
import { stubborn, turn } from '../fakes/ports.ts';
import { told } from '../fakes/supervised.ts';
import { BoxedDaemon } from '../fuzz/daemon-in-a-box.ts';

const BIG = 'x'.repeat(30_000);
const manySpecs = (count: number) =>
  Array.from({ length: count }, (_, at) => appSpec({ name: `app-${at}`, env: { BIG, AT: String(at) } }));

test('a thousand apps of 30 kB are started, shown, changed and killed by commands', async () => {
  const specs = manySpecs(1000);
  const box = new BoxedDaemon(new Registry());
  const client = box.client();
  const outcomes = await client.apply({ specs, existing: 'error' });
  assert.equal(told(outcomes).filter((each) => each === 'ok').length, 1000);
  assert.equal((await client.call('list', {})).length, 1000);
  const apps = await client.call('describe', { selectors: ['all'] });
  assert.deepEqual(
    apps.map(({ app }) => app.spec),
    specs,
  );
  const restarted = await client.call('operate', { kind: 'restart', selectors: ['all'] });
  assert.deepEqual([restarted.length, restarted.every(({ ok }) => ok)], [1000, true]);
  assert.ok(box.machine.shared.runs.every((run) => JSON.stringify(run).length < 2 * 2 ** 20));
  // What was staged was for that one.
  await assert.rejects(client.apply({ specs, existing: 'error' }), { code: 'APP_EXISTS' });
  assert.deepEqual(await client.apply({ specs: [], existing: 'error' }), []);
  assert.equal((await client.call('kill', {})).stopped, 1000);
  client.close();
  box.end();
});

/** More than one frame holds. */
describe('300 apps of 30 kB', () => {
  async function started(t: TestContext): Promise<{ box: Box; daemon: Daemon }> {
    const box = new Box(t);
    const daemon = await box.daemon();
    const outcomes = await daemon.apply({ specs: manySpecs(300), existing: 'error' });
    assert.ok(outcomes.every(({ ok }) => ok));
    return { box, daemon };
  }

  test('are taken over by the next daemon, and by the next supervisor', async (t) => {
    const { box, daemon } = await started(t);
    const before = pids(daemon);
    await silence(box, daemon);
    const next = await box.daemon();
    assert.deepEqual(pids(next), before);
    assert.equal(next.views.describe(['app-7'])[0]?.app.spec.env['AT'], '7');
    await silence(box, next);
    box.machine.shared.die();
    const last = await box.daemon();
    assert.deepEqual(pids(last), before);
    assert.equal(told(await last.operate({ kind: 'delete', selectors: ['all'] })).length, 300);
  });

  test('of a supervisor that knows of no pieces are taken over, too', async (t) => {
    const { box, daemon } = await started(t);
    await silence(box, daemon);
    box.machine.shared.isOld = true;
    const next = await box.daemon();
    assert.deepEqual(pids(next), pids(daemon));
    assert.equal(await next.kill(), 300);
  });
});

test('an app that no system could start is refused', async (t) => {
  const daemon = await new Box(t).daemon();
  const tooBig = appSpec({ env: { BIG: 'x'.repeat(MOST_SPEC_BYTES) } });
  await assert.rejects(start(daemon, tooBig), {
    code: 'CONFIG_INVALID',
    message: /^api has \d+ bytes of options and env/,
  });
  await start(daemon, appSpec());
  const env = { BIG: 'x'.repeat(MOST_SPEC_BYTES) };
  const outcomes = await daemon.operate({ kind: 'restart', selectors: ['api'], env });
  assert.match(outcomes[0]?.reason ?? '', /bytes of options and environment/);
  assert.deepEqual(states(daemon), ['0 api online']);
});

describe('a supervisor that is there and cannot be spoken to', () => {
  async function mute(t: TestContext) {
    const box = new Box(t);
    const first = await box.daemon();
    await start(first, appSpec({ name: 'a' }), clusterSpec({ name: 'c' }));
    const { shared } = box.machine;
    await silence(box, first);
    shared.protocol += 9;
    return { box, shared, daemon: await box.daemon() };
  }

  test('has stopped nothing where it was not told to', async (t) => {
    const { daemon } = await mute(t);
    const [outcome] = await daemon.operate({ kind: 'stop', selectors: ['a'] });
    assert.equal(outcome?.ok, false);
    assert.match(outcome?.reason ?? '', /this daemon speaks/);
  });

  test('makes a kill fail that names its apps, and does not forget them', async (t) => {
    const { box, shared, daemon } = await mute(t);
    const cluster = box.machine.clusterSupervisor;
    await assert.rejects(daemon.kill(), {
      code: 'SUPERVISOR_LOST',
      message: /^a may still run: .*; of others, 1 proc/,
    });
    assert.deepEqual(
      (await box.saved()).flatMap(({ spec, slots }) => [spec.name, ...slots.map(({ wanted }) => wanted)]),
      ['a', 'down'],
    );
    await turn();
    assert.deepEqual([shared.ended, cluster.ended], [false, true]);
  });
});

test('what a supervisor leaves that is killed while it stops all is stopped by another one', async (t) => {
  const box = new Box(t);
  const daemon = await box.daemon();
  box.machine.onStart = ({ ports }) => {
    ports.launcher.script = stubborn;
  };
  await start(daemon, appSpec({ name: 'a' }));
  const { shared } = box.machine;
  const app = shared.ports.launcher.of(0);
  const killed = daemon.kill();
  await until(() => app.signals.length > 0, 'a signal');
  shared.die();
  await until(() => box.machine.shared !== shared, 'another supervisor');
  app.exit();
  assert.equal(await killed, 1);
  assert.deepEqual(states(daemon), []);
});
