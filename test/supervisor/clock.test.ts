import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { InstanceState } from '../../src/domain/instance.ts';
import { Supervisor } from '../../src/supervisor/supervisor.ts';
import { appSpec } from '../fakes/app-spec.ts';
import { crashes, serves, turn } from '../fakes/ports.ts';
import { Supervised } from '../fakes/supervised.ts';

const HOUR_MS = 3_600_000;

const sinceOf = (state: InstanceState): number => ('since' in state ? state.since : Number.NaN);

for (const [what, setBy] of [
  ['ahead', HOUR_MS],
  ['back', -HOUR_MS],
] as const) {
  test(`a clock that is set ${what} moves what is told of a run, and not its length`, async () => {
    const it = new Supervised(appSpec());
    await it.run('start');
    const started = sinceOf(it.snapshot().state);
    await it.clock.advance(10_000);
    it.clock.ahead = setBy;
    assert.equal(sinceOf(it.snapshot().state), started + setBy);
    it.launcher.of(0).exit(1);
    await turn();
    const { lastExit, restarts } = it.snapshot();
    assert.deepEqual([lastExit?.uptimeMs, lastExit?.at, restarts], [10_000, started + 10_000 + setBy, 1]);
    assert.equal(it.changes.at(-1)?.instances[0]?.lastExit?.at, started + 10_000 + setBy);
  });

  test(`a clock that is set ${what} neither shortens nor prolongs a wait`, async () => {
    const it = new Supervised(appSpec({ restart: { delayMs: 5000 } }));
    it.launcher.script = crashes;
    await it.run('start');
    it.clock.ahead = setBy;
    await it.clock.advance(4999);
    assert.equal(it.snapshot().state.kind, 'backoff');
    it.launcher.script = serves;
    await it.clock.advance(1);
    assert.equal(it.snapshot().state.kind, 'online');
  });

  test(`a clock that is set ${what} while there is no supervisor changes nothing for the next one`, async () => {
    const it = new Supervised(appSpec({ restart: { delayMs: 5000 } }));
    it.launcher.script = crashes;
    await it.run('start');
    const { state } = it.snapshot();
    // It is gone, and with it its timers.
    await it.clock.advance(0);
    const next = new Supervisor(it.ports, () => {});
    it.clock.ahead = setBy;
    await next.resume();
    const [snapshot] = next.snapshot().flatMap(({ instances }) => instances);
    assert.ok(state.kind === 'backoff' && snapshot?.state.kind === 'backoff');
    assert.equal(snapshot.state.until, state.until + setBy);
    assert.ok(
      it.clock.pending.every((ms) => ms <= 5000),
      String(it.clock.pending),
    );
  });
}
