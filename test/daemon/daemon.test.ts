import assert from 'node:assert/strict';
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { Journal } from '../../src/daemon/journal.ts';
import { openState } from '../../src/daemon/open-state.ts';
import { type AppRecord, PROTOCOL_VERSION } from '../../src/protocol/messages.ts';
import { appSpec, clusterSpec } from '../fakes/app-spec.ts';
import { Box, pids, silence, start, states } from '../fakes/box.ts';
import type { FakeSupervisor } from '../fakes/machine.ts';
import { crashes, serves, turn, waits } from '../fakes/ports.ts';
import { told } from '../fakes/supervised.ts';

const wanted = (apps: readonly AppRecord[]) =>
  apps.flatMap(({ spec, slots }) => slots.map((slot) => `${slot.id} ${spec.name} ${slot.wanted}`)).toSorted();

describe('apply', () => {
  test('starts new apps, fork ones under one supervisor, each cluster under its own', async (t) => {
    const box = new Box(t);
    const daemon = await box.daemon();
    const outcomes = await start(
      daemon,
      appSpec({ name: 'a' }),
      appSpec({ name: 'b' }),
      clusterSpec({ name: 'c', instances: 2, program: { exec: '/opt/node22' } }),
    );
    assert.deepEqual(told(outcomes), ['ok', 'ok', 'ok', 'ok']);
    assert.deepEqual(states(daemon), ['0 a online', '1 b online', '2 c online', '3 c online']);
    assert.equal(box.machine.supervisors.size, 2);
    assert.equal(box.machine.clusterSupervisor.exec, '/opt/node22');
    assert.deepEqual(wanted(await box.saved()), ['0 a up', '1 b up', '2 c up', '3 c up']);
  });

  test('has saved what is wanted before anything starts', async (t) => {
    const box = new Box(t);
    const saved: Promise<readonly AppRecord[]>[] = [];
    box.machine.onStart = () => {
      saved.push(box.saved());
    };
    await start(await box.daemon(), appSpec());
    assert.deepEqual((await Promise.all(saved)).map(wanted), [['0 api up']]);
  });

  test('only registers an app without autostart', async (t) => {
    const box = new Box(t);
    const daemon = await box.daemon();
    assert.deepEqual(await start(daemon, appSpec({ autostart: false })), []);
    assert.deepEqual([states(daemon), box.machine.supervisors.size], [['0 api stopped'], 0]);
    assert.deepEqual(told(await daemon.operate({ kind: 'start', selectors: ['api'] })), ['ok']);
    assert.deepEqual(states(daemon), ['0 api online']);
  });

  test('reports what fails, and keeps the app', async (t) => {
    const box = new Box(t);
    box.machine.onStart = ({ ports }) => {
      ports.launcher.script = crashes;
    };
    const daemon = await box.daemon();
    const spec = appSpec({ restart: { autorestart: false } });
    assert.deepEqual(told(await start(daemon, spec)), ['exited with code 1; autorestart is off']);
    assert.deepEqual(states(daemon), ['0 api errored']);
  });

  test('refuses an app that runs, and one of another script', async (t) => {
    const daemon = await new Box(t).daemon();
    await start(daemon, appSpec());
    await assert.rejects(start(daemon, appSpec()), {
      code: 'APP_EXISTS',
      message: 'there is an app named api already, for /srv/api.js',
      hint: /`upkeep restart api`/,
    });
    await daemon.operate({ kind: 'stop', selectors: ['api'] });
    await assert.rejects(start(daemon, appSpec({ program: { script: '/srv/other.js' } })), {
      code: 'APP_EXISTS',
      hint: /another name with --name/,
    });
    assert.deepEqual(states(daemon), ['0 api stopped']);
  });

  test('starts one that is down with its new spec', async (t) => {
    const box = new Box(t);
    const daemon = await box.daemon();
    await start(daemon, appSpec({ env: { A: '1' } }));
    await daemon.operate({ kind: 'stop', selectors: ['api'] });
    assert.deepEqual(told(await start(daemon, appSpec({ env: { A: '2' } }))), ['ok']);
    assert.equal(box.machine.shared.ports.launcher.of(0).request.env['A'], '2');
  });

  test('refuses two apps of one name', async (t) => {
    const daemon = await new Box(t).daemon();
    await assert.rejects(start(daemon, appSpec(), clusterSpec()), { code: 'CONFIG_INVALID' });
    assert.deepEqual(states(daemon), []);
  });

  test('gives an app that runs another spec, with more or fewer instances', async (t) => {
    const box = new Box(t);
    const daemon = await box.daemon();
    await start(daemon, clusterSpec({ instances: 2 }));
    const before = pids(daemon);
    const apply = (instances: number) =>
      daemon.apply({ specs: [clusterSpec({ instances, env: { BUILD: String(instances) } })], existing: 'reload' });
    assert.deepEqual(told(await apply(3)), ['ok', 'ok', 'ok']);
    assert.ok(pids(daemon).every((pid) => !before.includes(pid)));
    assert.deepEqual(told(await apply(1)), ['ok']);
    assert.deepEqual(states(daemon), ['0 api online']);
    assert.equal(box.machine.clusterSupervisor.ports.launcher.of(0).request.env['BUILD'], '1');
  });

  test('moves an app to another supervisor when its mode changes', async (t) => {
    const box = new Box(t);
    const daemon = await box.daemon();
    await start(daemon, clusterSpec());
    const cluster = box.machine.clusterSupervisor;
    assert.deepEqual(told(await daemon.apply({ specs: [appSpec()], existing: 'restart' })), ['ok']);
    await turn();
    assert.deepEqual([cluster.ports.launcher.alive, cluster.ended], [[], true]);
    assert.deepEqual(
      box.machine.shared.ports.launcher.alive.map(({ id }) => id),
      [0],
    );
  });

  test('forgets a spec whose reload failed', async (t) => {
    const box = new Box(t);
    const daemon = await box.daemon();
    await start(daemon, clusterSpec({ env: { BUILD: '1' } }));
    const before = pids(daemon);
    box.machine.clusterSupervisor.ports.launcher.script = crashes;
    const outcomes = await daemon.apply({
      specs: [clusterSpec({ env: { BUILD: '2' }, instances: 3 })],
      existing: 'reload',
    });
    assert.deepEqual(told(outcomes), ['exited with code 1']);
    assert.deepEqual(pids(daemon), before);
    assert.deepEqual(
      (await box.saved()).map(({ spec }) => [spec.env['BUILD'], spec.instances]),
      [['1', 1]],
    );
  });
});

describe('operate', () => {
  async function running(t: TestContext) {
    const box = new Box(t);
    const daemon = await box.daemon();
    await start(daemon, appSpec({ name: 'a' }), appSpec({ name: 'b', instances: 2 }));
    return { box, daemon };
  }

  test('stop is remembered, for those that were meant', async (t) => {
    const { box, daemon } = await running(t);
    assert.deepEqual(told(await daemon.operate({ kind: 'stop', selectors: ['a', '2'] })), ['ok', 'ok']);
    assert.deepEqual(states(daemon), ['0 a stopped', '1 b online', '2 b stopped']);
    assert.deepEqual(wanted(await box.saved()), ['0 a down', '1 b up', '2 b down']);
  });

  test('restart gets them up again, with a new environment where one is given', async (t) => {
    const { box, daemon } = await running(t);
    await daemon.operate({ kind: 'stop', selectors: ['all'] });
    await daemon.operate({ kind: 'restart', selectors: ['b'], env: { A: '2' } });
    assert.deepEqual(states(daemon), ['0 a stopped', '1 b online', '2 b online']);
    assert.deepEqual(wanted(await box.saved()), ['0 a down', '1 b up', '2 b up']);
    assert.equal(box.machine.shared.ports.launcher.of(1).request.env['A'], '2');
    assert.deepEqual(
      (await box.saved()).map(({ spec }) => spec.env),
      [{}, { A: '2' }],
    );
  });

  test('reload with an environment that fails keeps the old one', async (t) => {
    const box = new Box(t);
    const daemon = await box.daemon();
    await start(daemon, clusterSpec({ env: { A: '1' } }));
    box.machine.clusterSupervisor.ports.launcher.script = crashes;
    await daemon.operate({ kind: 'reload', selectors: ['api'], env: { A: '2' } });
    assert.deepEqual(
      (await box.saved()).map(({ spec }) => spec.env),
      [{ A: '1' }],
    );
  });

  test('a start that is refused, as a reload runs, changes nothing', async (t) => {
    const box = new Box(t);
    const daemon = await box.daemon();
    await start(daemon, clusterSpec({ env: { A: '1' } }));
    const { launcher } = box.machine.clusterSupervisor.ports;
    launcher.script = waits;
    const reload = daemon.operate({ kind: 'reload', selectors: ['api'] });
    while (launcher.alive.length < 2) await turn();
    const outcomes = await daemon.operate({ kind: 'start', selectors: ['api'], env: { A: '2' } });
    assert.deepEqual(told(outcomes), ['a reload of api is running']);
    assert.deepEqual(
      (await box.saved()).map(({ spec }) => spec.env),
      [{ A: '1' }],
    );
    launcher.of(0).listen();
    assert.deepEqual(told(await reload), ['ok']);
  });

  test('reset clears the counters', async (t) => {
    const { daemon } = await running(t);
    await daemon.operate({ kind: 'restart', selectors: ['all'] });
    await daemon.operate({ kind: 'reset', selectors: ['b'] });
    assert.deepEqual(
      daemon.views.list().map(({ restarts }) => restarts),
      [1, 0, 0],
    );
  });

  test('delete forgets, and ends the supervisor of a cluster', async (t) => {
    const box = new Box(t);
    const daemon = await box.daemon();
    await start(daemon, appSpec({ name: 'a' }), clusterSpec({ name: 'c' }));
    const { clusterSupervisor, shared } = box.machine;
    assert.deepEqual(told(await daemon.operate({ kind: 'delete', selectors: ['c'] })), ['ok']);
    await turn();
    assert.deepEqual([clusterSupervisor.ended, shared.ended], [true, false]);
    assert.deepEqual([states(daemon), wanted(await box.saved())], [['0 a online'], ['0 a up']]);
  });

  test('of an app that no supervisor knows is done', async (t) => {
    const box = new Box(t);
    const daemon = await box.daemon();
    await start(daemon, appSpec({ autostart: false }));
    for (const kind of ['stop', 'reset', 'delete'] as const)
      assert.deepEqual(told(await daemon.operate({ kind, selectors: ['api'] })), ['ok'], kind);
    assert.deepEqual([states(daemon), box.machine.supervisors.size], [[], 0]);
  });

  test('of a target that means nothing changes nothing', async (t) => {
    const { daemon } = await running(t);
    await assert.rejects(daemon.operate({ kind: 'stop', selectors: ['a', 'nobody'] }), { code: 'APP_NOT_FOUND' });
    assert.deepEqual(states(daemon), ['0 a online', '1 b online', '2 b online']);
  });
});

describe('scale', () => {
  async function scaled(t: TestContext) {
    const box = new Box(t);
    const daemon = await box.daemon();
    await start(daemon, clusterSpec({ instances: 2 }), appSpec({ name: 'other' }));
    return { box, daemon };
  }

  test('up starts the new ones only', async (t) => {
    const { box, daemon } = await scaled(t);
    const before = pids(daemon);
    const outcomes = await daemon.scale('api', { kind: 'by', delta: 2 });
    assert.deepEqual(
      outcomes.map(({ id, ok }) => [id, ok]),
      [
        [3, true],
        [4, true],
      ],
    );
    assert.deepEqual(pids(daemon).slice(0, 3), before);
    assert.equal((await box.saved())[0]?.spec.instances, 4);
  });

  test('down ends the highest', async (t) => {
    const { daemon } = await scaled(t);
    await daemon.scale('api', { kind: 'to', count: 1 });
    assert.deepEqual(states(daemon), ['0 api online', '2 other online']);
  });

  test('up is refused while a reload runs, and changes nothing', async (t) => {
    const { box, daemon } = await scaled(t);
    const { launcher } = box.machine.clusterSupervisor.ports;
    launcher.script = waits;
    const reload = daemon.operate({ kind: 'reload', selectors: ['api'] });
    while (launcher.alive.length < 3) await turn();
    const [registered, saved] = [daemon.views.describe(['all']), await box.saved()];
    const busy = 'a reload of api is running';
    assert.deepEqual(told(await daemon.scale('api', { kind: 'to', count: 4 })), [busy, busy]);
    assert.deepEqual([daemon.views.describe(['all']), await box.saved()], [registered, saved]);
    launcher.script = serves;
    launcher.of(0).listen();
    assert.deepEqual(told(await reload), ['ok', 'ok']);
    assert.deepEqual(told(await daemon.scale('api', { kind: 'to', count: 3 })), ['ok']);
  });

  test('to what there is does nothing', async (t) => {
    const { daemon } = await scaled(t);
    assert.deepEqual(await daemon.scale('api', { kind: 'to', count: 2 }), []);
  });

  test('leaves at least one, and is of one app', async (t) => {
    const { daemon } = await scaled(t);
    await assert.rejects(daemon.scale('api', { kind: 'by', delta: -2 }), {
      code: 'USAGE',
      message: 'api has 2 instances; at least 1 must be left',
    });
    await assert.rejects(daemon.scale('all', { kind: 'to', count: 3 }), { code: 'USAGE' });
    await assert.rejects(daemon.scale('nobody', { kind: 'to', count: 3 }), { code: 'APP_NOT_FOUND' });
  });
});

describe('views', () => {
  test('have the usage of the processes that run', async (t) => {
    const daemon = await new Box(t).daemon();
    await start(daemon, appSpec({ instances: 2 }));
    await daemon.operate({ kind: 'stop', selectors: ['1'] });
    daemon.views.sample();
    assert.deepEqual(
      daemon.views.list().map(({ pid, rssBytes, cpuPercent }) => [pid, rssBytes, cpuPercent]),
      [
        [100, 100_000, null],
        [null, null, null],
      ],
    );
  });

  test('describe has the instances that were meant, with their logs', async (t) => {
    const daemon = await new Box(t).daemon();
    await start(daemon, appSpec({ instances: 2 }));
    const [view] = daemon.views.describe(['1']);
    assert.deepEqual(
      view?.instances.map(({ id, logs }) => [id, logs.out]),
      [[1, '/logs/api-out-1.log']],
    );
    assert.equal(view?.app.slots.length, 2);
  });
});

test('signal reaches processes under all supervisors', async (t) => {
  const box = new Box(t);
  const daemon = await box.daemon();
  await start(daemon, appSpec({ name: 'a' }), clusterSpec({ name: 'c' }));
  assert.equal((await daemon.signal(['all'], 'SIGHUP')).length, 2);
  for (const { ports } of box.machine.supervisors.values())
    assert.deepEqual(
      ports.launcher.processes.map(({ signals }) => signals),
      [['SIGHUP']],
    );
});

describe('logs', () => {
  test('are opened anew by all supervisors', async (t) => {
    const box = new Box(t);
    const daemon = await box.daemon();
    await start(daemon, appSpec({ name: 'a' }), clusterSpec({ name: 'c' }));
    await daemon.reloadLogs();
    for (const { ports } of box.machine.supervisors.values()) assert.equal(ports.logs.reopened, 1);
  });

  test('of those that were meant are emptied, and supervisors told', async (t) => {
    const box = new Box(t);
    const daemon = await box.daemon();
    await start(
      daemon,
      appSpec({ name: 'a', logs: { out: '/a.log', error: '/a.log' } }),
      appSpec({ name: 'b', logs: { out: '/b.log', error: null } }),
    );
    assert.deepEqual(await daemon.flushLogs(['a']), ['/a.log']);
    assert.deepEqual(box.machine.emptied, ['/a.log']);
    assert.equal(box.machine.shared.ports.logs.reopened, 1);
  });

  test('one that cannot be emptied is named, and the others are emptied', async (t) => {
    const box = new Box(t);
    const daemon = await box.daemon();
    await start(daemon, appSpec({ name: 'a', logs: { out: '/a.log', error: '/b.log' } }));
    box.machine.closedLogs.add('/a.log');
    await assert.rejects(daemon.flushLogs(['a']), {
      code: 'LOG_UNUSABLE',
      message: 'cannot empty /a.log\nemptied all the same: /b.log',
    });
    assert.deepEqual(box.machine.emptied, ['/b.log']);
    assert.equal(box.machine.shared.ports.logs.reopened, 1);
  });
});

test('kill stops all of it and forgets it', async (t) => {
  const box = new Box(t);
  const daemon = await box.daemon();
  await start(daemon, appSpec({ name: 'a' }), clusterSpec({ name: 'c', instances: 2 }));
  assert.equal(await daemon.kill(), 3);
  await turn();
  assert.deepEqual(await box.saved(), []);
  assert.deepEqual(
    [...box.machine.supervisors.values()].map(({ ended }) => ended),
    [true, true],
  );
});

describe('a daemon that comes after another', () => {
  async function succeeded(t: TestContext) {
    const box = new Box(t);
    const first = await box.daemon();
    await start(first, appSpec({ name: 'a' }), clusterSpec({ name: 'c', instances: 2 }));
    const before = first.views.list();
    await silence(box, first);
    return { box, before };
  }

  test('finds everything as it was', async (t) => {
    const { box, before } = await succeeded(t);
    const next = await box.daemon();
    assert.deepEqual(next.views.list(), before);
    const { clusterSupervisor, shared } = box.machine;
    for (const { ports, runs } of [clusterSupervisor, shared])
      assert.deepEqual([ports.launcher.processes.every(({ alive }) => alive), runs.length], [true, 1]);
  });

  test('sees what changes from then on', async (t) => {
    const { box } = await succeeded(t);
    const next = await box.daemon();
    box.machine.shared.ports.launcher.of(0).exit(1);
    await turn();
    assert.deepEqual(
      next.views.list().map(({ restarts }) => restarts),
      [1, 0, 0],
    );
  });

  test('ends what is no longer wanted', async (t) => {
    const { box } = await succeeded(t);
    const apps = await box.saved();
    await new Journal(box.statePath, () => apps.filter(({ spec }) => spec.name === 'a')).save();
    const cluster = box.machine.clusterSupervisor;
    const next = await box.daemon();
    await turn();
    assert.deepEqual(states(next), ['0 a online']);
    assert.deepEqual([cluster.ports.launcher.alive, cluster.ended], [[], true]);
  });

  test('starts what is wanted and does not run, and leaves what is to be down', async (t) => {
    const { box } = await succeeded(t);
    const first = await box.daemon();
    await first.operate({ kind: 'stop', selectors: ['a'] });
    await silence(box, first);
    box.machine.supervisors.clear();
    const next = await box.daemon();
    assert.deepEqual(states(next), ['0 a stopped', '1 c online', '2 c online']);
  });

  test('finishes a stop that was saved and not carried out', async (t) => {
    const { box } = await succeeded(t);
    const apps = (await box.saved()).map((app) => ({
      ...app,
      slots: app.slots.map((slot) => (slot.id === 1 ? slot : { ...slot, wanted: 'down' as const })),
    }));
    await new Journal(box.statePath, () => apps).save();
    const next = await box.daemon();
    assert.deepEqual(states(next), ['0 a stopped', '1 c online', '2 c stopped']);
    assert.deepEqual(wanted(await box.saved()), ['0 a down', '1 c up', '2 c down']);
  });

  test('is not stopped by the socket of a dead supervisor', async (t) => {
    const { box } = await succeeded(t);
    box.machine.shared.die();
    const next = await box.daemon();
    assert.deepEqual(states(next), ['0 a online', '1 c online', '2 c online']);
  });

  test('takes what serves for the truth, where a change was cut short', async (t) => {
    const { box } = await succeeded(t);
    const apps = await box.saved();
    const changed = apps.map((app) => ({ ...app, spec: { ...app.spec, env: { BUILD: 'never started' } } }));
    await new Journal(box.statePath, () => changed).save();
    const next = await box.daemon();
    assert.deepEqual(
      next.views.describe(['all']).map(({ app }) => app.spec.env),
      [{}, {}],
    );
  });
});

/** Resolves when another supervisor goes on. */
async function replaced(box: Box, dead: FakeSupervisor): Promise<void> {
  const started = new Promise<void>((resolve) => {
    box.machine.onStart = () => resolve();
  });
  dead.die();
  await started;
  for (let turns = 0; turns < 5; turns++) await turn();
}

describe('a supervisor of another protocol', () => {
  async function speaking(t: TestContext, protocol: number) {
    const box = new Box(t);
    const first = await box.daemon();
    await start(first, appSpec({ name: 'a' }), clusterSpec({ name: 'c' }));
    await silence(box, first);
    box.machine.shared.protocol = protocol;
    return { box, before: first.views.list() };
  }

  test('works where it is the one before', async (t) => {
    const { box, before } = await speaking(t, PROTOCOL_VERSION - 1);
    const next = await box.daemon();
    assert.deepEqual(next.views.list(), before);
    assert.deepEqual(told(await next.operate({ kind: 'restart', selectors: ['a'] })), ['ok']);
  });

  for (const protocol of [PROTOCOL_VERSION - 2, PROTOCOL_VERSION + 1]) {
    test(`${protocol} is told what to do about it, and its apps are left alone`, async (t) => {
      const { box } = await speaking(t, protocol);
      const next = await box.daemon();
      const [outcome] = await next.operate({ kind: 'restart', selectors: ['a'] });
      assert.match(outcome?.reason ?? '', /supervisor shared is of version .*, protocol .*; this daemon speaks/);
      assert.match(outcome?.hint ?? '', /kill -9 1.*its apps go on/);
      assert.deepEqual(box.machine.shared.ports.launcher.of(0).signals, []);
      assert.deepEqual(told(await next.operate({ kind: 'restart', selectors: ['c'] })), ['ok']);
    });
  }
});

describe('a daemon whose state is damaged', () => {
  async function damaged(t: TestContext, generations: readonly string[]) {
    const box = new Box(t);
    const daemon = await box.daemon();
    await start(daemon, appSpec({ name: 'a' }), clusterSpec({ name: 'c', instances: 2 }));
    await start(daemon, appSpec({ name: 'later', instances: 2 }));
    const before = states(daemon);
    for (const file of generations) writeFileSync(box.statePath + file, 'nonsense');
    return { box, daemon, before };
  }

  for (const [what, generations] of [
    ['newest generation', ['']],
    ['state, both generations,', ['', '.1']],
  ] as const)
    test(`in its ${what} takes over what runs, and ends nothing`, async (t) => {
      const { box, before } = await damaged(t, generations);
      const next = await box.daemon();
      assert.deepEqual(states(next), before);
      assert.ok([...box.machine.supervisors.values()].every(({ ended }) => !ended));
      assert.deepEqual(wanted(await box.saved()), ['0 a up', '1 c up', '2 c up', '3 later up', '4 later up']);
      assert.equal(next.views.problems.join().match(/\.bad-/g)?.length, generations.length);
      await next.operate({ kind: 'stop', selectors: ['all'] });
      assert.ok(states(next).every((state) => state.endsWith('stopped')));
    });

  test('takes over what was scaled and stopped as it is', async (t) => {
    const { box, daemon } = await damaged(t, []);
    await daemon.scale('later', { kind: 'to', count: 3 });
    await daemon.operate({ kind: 'delete', selectors: ['3'] });
    await daemon.operate({ kind: 'stop', selectors: ['a'] });
    for (const file of ['', '.1']) writeFileSync(box.statePath + file, 'nonsense');
    const next = await box.daemon();
    const expected = ['0 a down', '1 c up', '2 c up', '4 later up', '5 later up'];
    assert.deepEqual(wanted(await box.saved()), expected);
    assert.deepEqual(
      states(next).map((state) => state.split(' ').at(-1)),
      ['stopped', 'online', 'online', 'online', 'online'],
    );
    assert.equal((await box.daemon()).views.list().length, 5);
  });

  test('writes nothing over it while nothing runs and nothing changes', async (t) => {
    const { box } = await damaged(t, ['', '.1']);
    box.machine.supervisors.clear();
    assert.deepEqual(states(await box.daemon()), []);
    assert.equal(readFileSync(box.statePath, 'utf8'), 'nonsense');
  });
});

describe('a state that cannot be saved', () => {
  async function unsavable(t: TestContext) {
    const box = new Box(t);
    const daemon = await box.daemon();
    await start(daemon, appSpec({ name: 'a' }), clusterSpec({ name: 'c', instances: 2 }));
    const folder = dirname(box.statePath);
    renameSync(folder, `${folder}.gone`);
    t.after(() => rmSync(`${folder}.gone`, { recursive: true, force: true }));
    const relieve = () => renameSync(`${folder}.gone`, folder);
    return { box, daemon, relieve, before: { views: daemon.views.list(), apps: daemon.views.describe(['all']) } };
  }
  const unsaved = { code: 'STATE_UNSAVED', message: /^the list of apps cannot be saved: ENOENT/ };

  test('refuses what would start something, and all is as it was', async (t) => {
    const { box, daemon, relieve, before } = await unsavable(t);
    const changed = clusterSpec({ name: 'c', env: { NEW: '1' } });
    const attempts = [
      () => start(daemon, appSpec({ name: 'new' }), appSpec({ name: 'idle', autostart: false })),
      () => daemon.apply({ specs: [changed], existing: 'reload' }),
      () => daemon.apply({ specs: [changed, appSpec({ name: 'new' })], existing: 'restart' }),
      () => daemon.operate({ kind: 'restart', selectors: ['all'], env: { NEW: '1' } }),
      () => daemon.scale('c', { kind: 'to', count: 5 }),
      () => daemon.scale('c', { kind: 'to', count: 1 }),
    ];
    for (const attempt of attempts) {
      await assert.rejects(attempt(), unsaved);
      assert.deepEqual({ views: daemon.views.list(), apps: daemon.views.describe(['all']) }, before);
    }
    assert.match(daemon.views.problems.join(), /is not saved: ENOENT/);
    relieve();
    assert.deepEqual(told(await start(daemon, appSpec({ name: 'new' }))), ['ok']);
    assert.deepEqual(daemon.views.problems, []);
    assert.deepEqual(wanted(await box.saved()), ['0 a up', '1 c up', '2 c up', '3 new up']);
  });

  test('does what ends something, and tells', async (t) => {
    const { box, daemon, relieve } = await unsavable(t);
    const done = { code: 'STATE_UNSAVED', message: /^it was done, but the list of apps cannot be saved: ENOENT/ };
    await assert.rejects(daemon.operate({ kind: 'stop', selectors: ['a'] }), done);
    await assert.rejects(daemon.operate({ kind: 'delete', selectors: ['c'] }), done);
    assert.deepEqual(states(daemon), ['0 a stopped']);
    relieve();
    assert.deepEqual(wanted(await box.saved()), ['0 a up', '1 c up', '2 c up']);
    assert.deepEqual(told(await daemon.operate({ kind: 'reset', selectors: ['a'] })), ['ok']);
    assert.deepEqual(wanted(await box.saved()), ['0 a down']);
  });

  test('lets kill end everything', async (t) => {
    const { box, daemon } = await unsavable(t);
    const supervisors = [...box.machine.supervisors.values()];
    await assert.rejects(daemon.kill(), { code: 'STATE_UNSAVED' });
    assert.deepEqual(daemon.views.list(), []);
    assert.ok(supervisors.every(({ ports }) => ports.launcher.alive.length === 0));
  });
});

describe('a supervisor that dies', () => {
  test('is replaced, and what it ran goes on', async (t) => {
    const box = new Box(t);
    const daemon = await box.daemon();
    await start(daemon, appSpec({ name: 'a', instances: 2 }), clusterSpec({ name: 'c' }));
    await daemon.operate({ kind: 'stop', selectors: ['1'] });
    const before = daemon.views.list();
    const dead = box.machine.shared;
    await replaced(box, dead);
    assert.deepEqual(states(daemon), ['0 a online', '1 a stopped', '2 c online']);
    assert.deepEqual(daemon.views.list(), before);
    assert.notEqual(box.machine.shared, dead);
    assert.match(box.machine.lines.join('\n'), /supervisor shared is gone; another one goes on with its 2 instances/);
  });

  test('in the middle of an operation fails that, and what was begun goes on', async (t) => {
    const box = new Box(t);
    const daemon = await box.daemon();
    await start(daemon, appSpec());
    const dead = box.machine.shared;
    dead.ports.launcher.script = waits;
    const restart = daemon.operate({ kind: 'restart', selectors: ['api'] });
    while (dead.runs.length < 2) await turn();
    await turn();
    const begun = dead.ports.launcher.of(0);
    const came = replaced(box, dead);
    assert.deepEqual(told(await restart), ['supervisor shared ended before it answered']);
    await came;
    assert.deepEqual(states(daemon), ['0 api starting']);
    begun.listen();
    await turn();
    assert.deepEqual([states(daemon), pids(daemon)], [['0 api online'], [begun.pid]]);
  });

  test('while the daemon is away too is replaced when there is one again', async (t) => {
    const box = new Box(t);
    const first = await box.daemon();
    await start(first, appSpec({ name: 'a' }), clusterSpec({ name: 'c', instances: 2 }));
    const before = first.views.list();
    const cluster = box.machine.clusterSupervisor;
    await silence(box, first);
    for (const supervisor of [box.machine.shared, cluster]) supervisor.die();
    const next = await box.daemon();
    assert.deepEqual(next.views.list(), before);
    assert.equal(box.machine.clusterSupervisor.exec, cluster.exec);
  });

  test('of another version is replaced by an update, and nothing is stopped', async (t) => {
    const box = new Box(t);
    const daemon = await box.daemon();
    await start(daemon, appSpec({ name: 'a' }), clusterSpec({ name: 'c' }));
    const before = daemon.views.list();
    assert.deepEqual(await daemon.updateSupervisors('0.0.0-test'), []);
    const updates = await daemon.updateSupervisors('0.0.1');
    assert.deepEqual(
      updates.map(({ apps, problem }) => [apps, problem]),
      [
        [['a'], null],
        [['c'], null],
      ],
    );
    assert.deepEqual(daemon.views.list(), before);
  });

  test('that cannot be started fails its own apps only', async (t) => {
    const box = new Box(t);
    const daemon = await box.daemon();
    box.machine.onStart = (_supervisor, key) => {
      if (key !== 'shared') throw new Error('no such Node.js');
    };
    const outcomes = await start(daemon, appSpec({ name: 'a' }), clusterSpec({ name: 'c', instances: 2 }));
    const failure = 'its supervisor did not start: no such Node.js';
    assert.deepEqual(told(outcomes), ['ok', failure, failure]);
    assert.match(outcomes[1]?.hint ?? '', /is \/usr\/bin\/node a Node\.js of version/);
  });

  test('that cannot be started fails the operation, and the next one tries again', async (t) => {
    const box = new Box(t);
    const daemon = await box.daemon();
    box.machine.onStart = () => {
      throw new Error('no more processes');
    };
    assert.deepEqual(told(await start(daemon, appSpec())), ['its supervisor did not start: no more processes']);
    box.machine.onStart = () => {};
    assert.deepEqual(told(await daemon.operate({ kind: 'start', selectors: ['api'] })), ['ok']);
  });
});

describe('what is saved', () => {
  async function saved(t: TestContext) {
    const box = new Box(t);
    const daemon = await box.daemon();
    await start(daemon, appSpec({ name: 'a', instances: 2 }), clusterSpec({ name: 'c' }), appSpec({ name: 'idle' }));
    await daemon.operate({ kind: 'stop', selectors: ['idle'] });
    assert.deepEqual(await daemon.save(false), { apps: 3, path: box.dumpPath });
    return { box, daemon };
  }

  test('comes back after kill, under the same ids, and what was stopped stays so', async (t) => {
    const { box, daemon } = await saved(t);
    await daemon.kill();
    box.machine.supervisors.clear();
    const next = await box.daemon();
    assert.deepEqual(states(next), []);
    const { outcomes, ...counts } = await next.resurrect();
    assert.deepEqual(counts, { saved: 3, restored: 3, problem: null });
    assert.deepEqual(told(outcomes), ['ok', 'ok', 'ok']);
    assert.deepEqual(states(next), ['0 a online', '1 a online', '2 c online', '3 idle stopped']);
    assert.deepEqual(wanted(await box.saved()), ['0 a up', '1 a up', '2 c up', '3 idle down']);
  });

  test('is never there twice, and what is there is left alone', async (t) => {
    const { daemon } = await saved(t);
    await daemon.operate({ kind: 'delete', selectors: ['a'] });
    await start(daemon, appSpec({ name: 'new' }));
    const before = pids(daemon);
    assert.equal((await daemon.resurrect()).restored, 1);
    // Of the ids that it had, one is taken.
    assert.deepEqual(states(daemon), ['0 new online', '1 a online', '2 c online', '3 idle stopped', '4 a online']);
    assert.ok(before.every((pid) => pids(daemon).includes(pid)));
    assert.deepEqual((await daemon.resurrect()).outcomes, []);
  });

  test('is not replaced by an empty list, unless forced', async (t) => {
    const { daemon } = await saved(t);
    await daemon.operate({ kind: 'delete', selectors: ['all'] });
    await assert.rejects(daemon.save(false), { code: 'LIST_EMPTY' });
    assert.equal((await daemon.save(true)).apps, 0);
    assert.equal((await daemon.resurrect()).saved, 0);
  });

  test('is forgotten by cleardump', async (t) => {
    const { daemon } = await saved(t);
    const { path } = await daemon.save(false);
    await daemon.clearDump();
    await daemon.operate({ kind: 'delete', selectors: ['all'] });
    assert.equal((await daemon.resurrect()).saved, 0);
    const emptied = readFileSync(path);
    writeFileSync(path, 'damaged');
    assert.equal((await daemon.resurrect()).saved, 0, 'nor is the generation before it there');
    writeFileSync(path, emptied);
    assert.equal((await daemon.save(false)).apps, 0, 'nothing may replace nothing');
  });

  test('runs on the Node.js of the daemon where its own is gone', async (t) => {
    const { box, daemon } = await saved(t);
    await daemon.kill();
    box.machine.supervisors.clear();
    box.machine.links.set('/usr/bin/node', null);
    const next = await box.daemon();
    await next.resurrect();
    await next.operate({ kind: 'start', selectors: ['idle'] });
    const execs = next.views.describe(['all']).map(({ app }) => app.spec.program.exec);
    assert.deepEqual(execs, ['node', 'node', 'node']);
    assert.equal(box.machine.clusterSupervisor.exec, 'node');
    assert.match(box.machine.lines.join('\n'), /\/usr\/bin\/node is gone: c runs on node/);
  });
});

describe('the end of the machine', () => {
  test('stops all, and the next daemon starts what was wanted', async (t) => {
    const box = new Box(t);
    const daemon = await box.daemon();
    await start(daemon, appSpec({ name: 'a', instances: 2 }), clusterSpec({ name: 'c' }));
    await daemon.operate({ kind: 'stop', selectors: ['1'] });
    assert.equal(await daemon.shutDown(), 2);
    assert.deepEqual(wanted(await box.saved()), ['0 a up', '1 a down', '2 c up']);
    box.machine.supervisors.clear();
    assert.deepEqual(states(await box.daemon()), ['0 a online', '1 a stopped', '2 c online']);
  });

  test('lets no supervisor start any more', async (t) => {
    const box = new Box(t);
    const daemon = await box.daemon();
    await daemon.shutDown();
    assert.deepEqual(told(await start(daemon, appSpec())), ['the daemon is ending']);
    assert.equal(box.machine.supervisors.size, 0);
  });
});

test('a state that cannot be read is told in the log', async (t) => {
  const box = new Box(t);
  await start(await box.daemon(), appSpec());
  writeFileSync(box.statePath, 'nonsense');
  box.machine.lines.length = 0;
  await openState(box.statePath, box.machine.log);
  assert.match(box.machine.lines.join('\n'), /state\.json is damaged/);
});

test('a wall clock that is set moves the times of what was told before', async (t) => {
  const box = new Box(t);
  const daemon = await box.daemon();
  await start(daemon, appSpec());
  const since = () => daemon.views.list().map(({ state }) => ('since' in state ? state.since : null));
  const [before = null] = since();
  assert.ok(before !== null);
  for (const ahead of [3_600_000, -3_600_000, 0]) {
    box.machine.setClock(ahead);
    assert.deepEqual(since(), [before + ahead]);
  }
  box.machine.setClock(5000);
  await silence(box, daemon);
  const next = await box.daemon();
  assert.deepEqual(
    next.views.list().map(({ state }) => 'since' in state && state.since),
    [before + 5000],
  );
});

describe('a supervisor that cannot be started', () => {
  const again = Object.assign(new Error('spawn node EAGAIN'), { code: 'EAGAIN' });

  test('is told, and tried again until its apps run', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const box = new Box(t);
    const daemon = await box.daemon();
    box.machine.startFailure = again;
    const [outcome] = await start(daemon, appSpec());
    assert.equal(outcome?.reason, 'its supervisor cannot be started: the machine is short of processes (EAGAIN)');
    assert.match(String(outcome?.hint), /it is tried again/);
    const [view] = daemon.views.list();
    assert.deepEqual(view?.state.kind === 'backoff' && view.state.reason, outcome?.reason);
    for (let round = 0; round < 10; round++) {
      t.mock.timers.tick(15_000);
      await turn();
    }
    assert.deepEqual(states(daemon), ['0 api backoff']);
    box.machine.startFailure = null;
    t.mock.timers.tick(15_000);
    await turn();
    assert.deepEqual(states(daemon), ['0 api online']);
  });

  test('is tried no more for what was stopped or deleted meanwhile', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const box = new Box(t);
    const daemon = await box.daemon();
    box.machine.startFailure = again;
    await start(daemon, appSpec({ name: 'a' }), appSpec({ name: 'b' }));
    await daemon.operate({ kind: 'stop', selectors: ['a'] });
    await daemon.operate({ kind: 'delete', selectors: ['b'] });
    assert.deepEqual(states(daemon), ['0 a stopped']);
    box.machine.startFailure = null;
    t.mock.timers.tick(15_000);
    await turn();
    assert.deepEqual([states(daemon), box.machine.supervisors.size], [['0 a stopped'], 0]);
  });

  test('after its death is tried again, and goes on with its apps', async (t) => {
    const box = new Box(t);
    const daemon = await box.daemon();
    await start(daemon, appSpec());
    const before = pids(daemon);
    box.machine.startFailure = again;
    const dead = box.machine.shared;
    dead.die();
    await until(() => box.machine.lines.some((line) => line.includes('EAGAIN')));
    box.machine.startFailure = null;
    await until(() => states(daemon)[0] === '0 api online');
    assert.deepEqual(pids(daemon), before);
  });
});

describe('a supervisor that stands still while a daemon starts', () => {
  test('holds up no question, and what it runs is known when it goes on', async (t) => {
    const box = new Box(t);
    const first = await box.daemon();
    await start(first, appSpec({ name: 'a' }), clusterSpec({ name: 'c' }));
    await start(first, appSpec({ name: 'gone' }));
    const before = pids(first);
    await silence(box, first);
    const { shared } = box.machine;
    let goOn: () => void = () => {};
    shared.stands = new Promise((resolve) => {
      goOn = resolve;
    });
    const next = await box.daemon();
    assert.deepEqual(states(next), ['0 a backoff', '1 c online', '2 gone backoff']);
    goOn();
    await until(() => states(next)[0] === '0 a online');
    assert.deepEqual([pids(next), shared.ports.launcher.processes.length], [before, 2]);
  });
});

/** What happens by real timers, of some hundred milliseconds. */
async function until(holds: () => boolean): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!holds() && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.ok(holds());
}

test('kill says which supervisor stands still, and ends the others', async (t) => {
  const box = new Box(t);
  const daemon = await box.daemon();
  await start(daemon, appSpec({ name: 'a' }), clusterSpec({ name: 'c' }));
  box.machine.shared.stop();
  const cluster = box.machine.clusterSupervisor;
  await assert.rejects(daemon.kill(), { code: 'SUPERVISOR_LOST', message: /process 1, does not answer/ });
  assert.deepEqual([cluster.ended, box.machine.shared.ended], [true, false]);
});
