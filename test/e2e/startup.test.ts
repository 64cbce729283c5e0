import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { cannotBoot, machineWithApps } from './machine.ts';
import { until } from './until.ts';

const PROGRAM = '/opt/node-a/lib/node_modules/upkeep/dist/upkeep.cjs';
const forRoot = (verb: string): string =>
  `env PATH=$PATH:/opt/node-a/bin ${PROGRAM} ${verb} systemd -u me --hp /home/me`;

describe('a machine with systemd', { skip: cannotBoot() }, () => {
  test('a user is told what root has to run; it is run, and undone', async (t) => {
    const { sh, ok, list, isMain, processes, powerOff, boot } = await machineWithApps(t, 'me');
    const before = await list();

    const refused = await sh('upkeep startup systemd', 'me');
    assert.deepEqual([refused.code, refused.stdout], [1, `sudo ${forRoot('startup')}\n`]);
    assert.match(refused.stderr, /^write \/etc\/systemd\/system\/upkeep-me\.service\n {4}# Written by/m);
    assert.equal(await ok('find /etc -name "upkeep*"'), '', 'nothing is done');

    await ok(forRoot('startup'));
    assert.equal(await ok('systemctl is-active upkeep-me'), 'active\n');
    await until(() => isMain('upkeep-me'), 'the daemon that a command has started to yield to that of the unit');
    assert.equal(await list(), before, 'what ran goes on');

    await ok(forRoot('unstartup'));
    assert.equal(await ok('find /etc -name "upkeep*"'), '');
    assert.notEqual((await sh('systemctl cat upkeep-me')).code, 0);
    assert.equal(await list(), before, 'without a unit, what runs goes on, too');
    const daemon = await ok('upkeep pid', 'me');
    await ok(`kill -KILL ${daemon}`);
    await until(async () => (await ok('upkeep pid', 'me')) !== daemon, 'another daemon');
    assert.equal(await list(), before);

    await ok('upkeep kill', 'me');
    await powerOff();
    await boot();
    assert.equal(await processes('upkeep'), '', 'nothing starts it any more');
  });

  test("a unit of the user's own", async (t) => {
    const { sh, ok, list, powerOff, boot } = await machineWithApps(t, 'me');
    // As when `me` has logged in.
    await sh('systemctl start user@$(id -u me)');
    if ((await sh('test -e /run/user/$(id -u me)/systemd')).code !== 0)
      return t.skip('no manager of user services here');
    const { code, stdout } = await sh('upkeep startup', 'me');
    assert.deepEqual([code, stdout], [1, 'sudo loginctl enable-linger me\n'], 'that needs root here');
    await ok('loginctl enable-linger me');
    const running = await list();
    assert.match((await sh('upkeep startup', 'me')).stderr, /✓ upkeep\.service is set up/);
    assert.equal(await list(), running);

    await powerOff();
    await boot();
    const systemctl = (words: string) =>
      sh(`XDG_RUNTIME_DIR=/run/user/$(id -u) systemctl --user ${words} upkeep`, 'me');
    const state = async () => (await systemctl('is-active')).stdout;
    await until(async () => (await state()) === 'active\n', 'the unit', state);
    const booted = await list();
    assert.match(booted, /^0 job \d+ online\n1 web \d+ online\n2 web \d+ online$/);
    assert.equal((await systemctl('restart')).code, 0);
    assert.equal(await list(), booted, 'restart: same pids');
    assert.equal((await systemctl('stop')).code, 0);
    assert.equal((await systemctl('start')).code, 0);
    const started = await list();
    assert.notEqual(started, booted);

    await ok('upkeep unstartup', 'me');
    assert.equal(await list(), started);
    assert.equal(await ok('find /home/me -name "*.service" -o -name "*.sh"', 'me'), '');
  });
});
