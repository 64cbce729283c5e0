import assert from 'node:assert/strict';
import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { cannotBoot, machineWithApps } from './machine.ts';
import { until } from './until.ts';

const THREE_ONLINE = /^0 job \d+ online\n1 web \d+ online\n2 web \d+ online$/;

describe('a machine with systemd', { skip: cannotBoot() }, () => {
  test('what ran comes back after a boot, and goes on when the daemon is killed or restarted', async (t) => {
    const { ok, list, isMain, processes, powerOff, boot } = await machineWithApps(t, 'me');
    await ok('upkeep start /srv/logs-signals.js --name idle', 'me');
    await ok('upkeep stop idle', 'me');
    const names = (rows: string): string => rows.replaceAll(/ \d+(?= online)/g, '');
    const before = await list();
    await ok('upkeep startup -u me');

    await powerOff();
    await boot();
    assert.equal(names(await list()), names(before), 'the apps are there when the boot has ended');
    assert.match(await ok('cat /home/me/.upkeep/logs/job-out.log'), /running\ngot SIGINT\nrunning\n$/);
    assert.ok(await isMain('upkeep-me'), 'the daemon is the main process of the unit');

    const running = await list();
    const killed = await ok('upkeep pid', 'me');
    await ok(`kill -KILL ${killed}`);
    await until(() => isMain('upkeep-me'), 'a daemon that is the main process again');
    assert.notEqual(await ok('upkeep pid', 'me'), killed);
    assert.equal(await list(), running, 'SIGKILL of the daemon: same pids');

    await ok('systemctl restart upkeep-me');
    await until(() => isMain('upkeep-me'), 'another daemon');
    assert.equal(await list(), running, 'restart: same pids');

    await ok('upkeep update', 'me');
    await until(() => isMain('upkeep-me'), 'the daemon after the update');
    assert.equal(await list(), running, 'update: same pids');

    await ok('systemctl stop upkeep-me');
    await until(async () => (await processes('upkeep')) + (await processes('/srv/')) === '', 'the end of everything');
    await ok('systemctl start upkeep-me');
    assert.equal(names(await list()), names(before));
    assert.equal(await ok('systemctl show -P Result upkeep-me'), 'success\n');
  });

  test('Node.js and upkeep are found in another place', async (t) => {
    const { ok, list, disk, powerOff, boot, processes } = await machineWithApps(t, 'me');
    await ok('upkeep startup -u me');
    await powerOff();
    renameSync(join(disk, 'opt/node-a'), join(disk, 'opt/node-b'));
    await boot();
    assert.match(await list(), THREE_ONLINE);
    assert.notEqual(await processes('/.upkeep/run/bootstrap-'), '');
    assert.equal(await processes('/opt/node-a'), '');
  });

  test('after `kill` the list is empty, and at boot what was saved is there', async (t) => {
    const { ok, list, isMain, powerOff, boot } = await machineWithApps(t, 'root');
    await ok('upkeep save');
    await ok('upkeep start /srv/logs-signals.js --name later');
    await ok('upkeep startup');
    await powerOff();
    await boot();
    assert.match(await list(), /later \d+ online$/, 'without `save`, too');

    await ok('upkeep kill');
    await until(() => isMain('upkeep-root'), 'the unit to start a daemon again');
    assert.equal(await list(), '');
    await powerOff();
    await boot();
    assert.match(await list(), THREE_ONLINE);

    await ok('upkeep delete job');
    await powerOff();
    await boot();
    assert.match(await list(), /^1 web \d+ online\n2 web \d+ online$/, 'what was deleted stays so');
  });
});
