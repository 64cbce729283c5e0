import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setUp, undo } from '../../../src/cli/commands/startup.ts';
import { bootContext, FakeBootMachine } from '../../fakes/boot.ts';

const SYSTEMD = '/run/systemd/system';
const UNIT = '/etc/systemd/system/upkeep-me.service';
const PROGRAM = '/usr/lib/node_modules/upkeep/dist/upkeep.cjs';

describe('by root', () => {
  test('says what it does, and does it', () => {
    const machine = new FakeBootMachine(0, [SYSTEMD]);
    const { context, data, notes } = bootContext();
    assert.equal(setUp(context, machine, undefined, { user: 'me' }), 0);
    assert.deepEqual(machine.done, [
      'write /etc/upkeep/upkeep-me.sh',
      `write ${UNIT}`,
      'systemctl daemon-reload',
      'systemctl enable --now upkeep-me.service',
    ]);
    assert.match(notes[0] ?? '', /^.*write \/etc\/upkeep\/upkeep-me\.sh\n {4}#!\/bin\/sh\n/);
    assert.match(notes[0] ?? '', /run systemctl enable --now upkeep-me\.service/);
    assert.match(notes[1] ?? '', /upkeep-me\.service is set up/);
    assert.deepEqual(data, []);
    assert.match(machine.files.get(UNIT) ?? '', /^User=me$/m);
  });

  test('undoes it, whatever fails', () => {
    const machine = new FakeBootMachine(0, [SYSTEMD]);
    const { context, problems } = bootContext();
    setUp(context, machine, undefined, { user: 'me' });
    machine.done.length = 0;
    machine.fails.set('systemctl disable --now upkeep-me.service', 'it is stuck');
    assert.equal(undo(context, machine, undefined, { user: 'me' }), 1);
    assert.deepEqual(machine.done, [
      'remove /etc/upkeep/upkeep-me.sh',
      'systemctl disable --now upkeep-me.service',
      `remove ${UNIT}`,
      'systemctl daemon-reload',
    ]);
    assert.match(problems.join('\n'), /systemctl disable --now upkeep-me\.service: it is stuck/);
  });

  test('stops at what fails', () => {
    const machine = new FakeBootMachine(0, [SYSTEMD]);
    machine.fails.set('systemctl daemon-reload', 'no bus');
    const { context, notes, problems } = bootContext();
    assert.equal(setUp(context, machine, undefined, { user: 'me' }), 1);
    assert.equal(machine.done.at(-1), 'systemctl daemon-reload');
    assert.match(problems.join('\n'), /no bus/);
    assert.equal(notes.length, 1);
  });

  test('is told that it is for root where that may not be meant', () => {
    const { context, problems } = bootContext({ SUDO_USER: 'me' });
    setUp(context, new FakeBootMachine(0, [SYSTEMD]), undefined, {});
    assert.match(problems.join('\n'), /for the apps of root; for those of me, add -u me/);
  });

  test('touches no file of others', () => {
    const machine = new FakeBootMachine(0, [SYSTEMD]);
    machine.files.set('/etc/systemd/system/nginx.service', '[Unit]');
    const options = { serviceName: 'nginx' };
    const foreign = { code: 'INIT_FAILED', message: /nginx\.service is there, and was not written by upkeep/ };
    assert.throws(() => setUp(bootContext().context, machine, undefined, options), foreign);
    assert.equal(machine.files.get('/etc/systemd/system/nginx.service'), '[Unit]');
  });

  test('is not done twice for one home', () => {
    const machine = new FakeBootMachine(0, [SYSTEMD]);
    machine.files.set('/home/me/.config/systemd/user/upkeep.service', '[Unit]');
    const twice = { code: 'INIT_FAILED', message: /upkeep\.service starts upkeep for me already/ };
    assert.throws(() => setUp(bootContext().context, machine, undefined, { user: 'me' }), twice);
    assert.deepEqual(machine.done, []);
  });

  test('of what is not set up is no failure', () => {
    const machine = new FakeBootMachine(0, [SYSTEMD]);
    const { context, notes } = bootContext();
    assert.equal(undo(context, machine, undefined, { user: 'me' }), 0);
    assert.deepEqual([machine.done, notes], [[], ['nothing to undo: upkeep-me.service is not set up']]);
  });
});

describe('by a user', () => {
  test('is a unit of the system where there is no other way: root has to do it', () => {
    const machine = new FakeBootMachine(1000, [SYSTEMD]);
    const { context, data, problems } = bootContext();
    assert.equal(setUp(context, machine, undefined, {}), 1);
    assert.deepEqual(machine.done, []);
    assert.deepEqual(data, [`sudo env PATH=$PATH:/usr/bin ${PROGRAM} startup systemd -u me --hp /home/me`]);
    assert.match(problems.join('\n'), /nothing is done yet, as all this needs root/);
  });

  test('has the command for root with all that was given', () => {
    const machine = new FakeBootMachine(1000, [SYSTEMD]);
    const options = { serviceName: 'mine', waitIp: true, hp: '/srv/m e' };
    const { context, data } = bootContext({ UPKEEP_HOME: '/srv/up keep' });
    setUp(context, machine, 'ubuntu', options);
    const command = `${PROGRAM} startup systemd -u me --hp '/srv/m e' --service-name mine --wait-ip`;
    assert.deepEqual(data, [`sudo env PATH=$PATH:/usr/bin UPKEEP_HOME='/srv/up keep' ${command}`]);
  });

  test('is a unit of their own where they have a manager', () => {
    const machine = new FakeBootMachine(1000, [SYSTEMD, '/run/user/1000/systemd']);
    const { context, data } = bootContext();
    assert.equal(setUp(context, machine, undefined, { dryRun: true }), 0);
    assert.match(data.join('\n'), /write \/home\/me\/\.config\/systemd\/user\/upkeep\.service/);
    assert.match(data.join('\n'), /run loginctl enable-linger$/);
    assert.deepEqual(machine.done, []);
  });

  test('is not for others', () => {
    const machine = new FakeBootMachine(1000, [SYSTEMD]);
    const { context } = bootContext();
    const own = { code: 'USAGE', message: /systemd-user is for your own services, not for those of root/ };
    assert.throws(() => setUp(context, machine, 'systemd-user', { user: 'root' }), own);
  });
});

describe('the init system', () => {
  const initOf = (machine: FakeBootMachine, platform?: string): string => {
    const { context, data } = bootContext();
    setUp(context, machine, platform, { dryRun: true, json: true });
    return (JSON.parse(data[0] ?? '') as { init: string }).init;
  };

  for (const [what, init, machine] of [
    ['systemd', 'systemd', new FakeBootMachine(0, [SYSTEMD])],
    ['OpenRC', 'openrc', new FakeBootMachine(0, ['/run/openrc'])],
    ['macOS, by root', 'launchd', new FakeBootMachine(0, [], 'darwin')],
    ['macOS, by a user', 'launchd-user', new FakeBootMachine(1000, [], 'darwin')],
  ] as const)
    test(`of ${what} is found out`, () => assert.equal(initOf(machine), init));

  for (const [given, init] of [
    ['openrc', 'openrc'],
    ['systemd-user', 'systemd-user'],
    ['ubuntu', 'systemd'],
    ['darwin', 'launchd'],
  ] as const)
    test(`may be given as ${given}`, () => assert.equal(initOf(new FakeBootMachine(1000, []), given), init));

  test('that is not known is told, with those that are', () => {
    const { context } = bootContext();
    for (const platform of ['upstart', 'constructor', ''])
      assert.throws(() => setUp(context, new FakeBootMachine(0, []), platform, {}), {
        code: 'INIT_UNKNOWN',
        hint: /systemd-user/,
      });
    assert.throws(() => setUp(context, new FakeBootMachine(0, []), undefined, {}), { code: 'INIT_UNKNOWN' });
  });
});

describe('wrong input', () => {
  for (const [options, message] of [
    [{ user: 'nobody-here' }, /--user: there is no user "nobody-here"/],
    [{ serviceName: '../evil' }, /--service-name: "\.\.\/evil" is no name for a service/],
    [{ serviceName: 'a b' }, /is no name for a service/],
    [{ hp: 'me' }, /--hp: expected an absolute path, got "me"/],
  ] as const)
    test(JSON.stringify(options), () => {
      const machine = new FakeBootMachine(0, [SYSTEMD]);
      assert.throws(() => setUp(bootContext().context, machine, undefined, options), { code: 'USAGE', message });
      assert.deepEqual(machine.done, []);
    });
});

test('JSON has the plan, and whether it is done', () => {
  const machine = new FakeBootMachine(0, [SYSTEMD]);
  const { context, data, notes } = bootContext();
  setUp(context, machine, undefined, { user: 'me', json: true });
  const { steps, ...rest } = JSON.parse(data[0] ?? '') as { steps: readonly { kind: string }[] };
  assert.deepEqual(rest, { init: 'systemd', service: 'upkeep-me.service', done: true, command: null });
  assert.deepEqual(
    steps.map(({ kind }) => kind),
    ['write', 'write', 'run', 'run'],
  );
  assert.deepEqual(notes, []);

  const user = bootContext();
  assert.equal(setUp(user.context, new FakeBootMachine(1000, [SYSTEMD]), 'systemd', { json: true }), 1);
  assert.match(user.data[0] ?? '', /"done":false,"command":"sudo env /);
});

test('Node.js is recorded by the path that lasts, and by its own', () => {
  const machine = new FakeBootMachine(0, [SYSTEMD, '/cellar/node/22.1.0/bin/node']);
  machine.links.set('/homebrew/bin/node', '/cellar/node/22.1.0/bin/node');
  machine.links.set('/usr/bin/node', '/usr/bin/node');
  const PATH = '/app/node_modules/.bin:/usr/bin:/homebrew/bin';
  machine.links.set('/app/node_modules/.bin/node', '/cellar/node/22.1.0/bin/node');
  const { context } = bootContext({ PATH });
  setUp({ ...context, execPath: '/cellar/node/22.1.0/bin/node' }, machine, undefined, { user: 'me' });
  const launcher = machine.files.get('/etc/upkeep/upkeep-me.sh') ?? '';
  assert.match(launcher, /first_of \/homebrew\/bin\/node \/cellar\/node\/22\.1\.0\/bin\/node \|\|/);
});
