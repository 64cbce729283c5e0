import assert from 'node:assert/strict';
import { test } from 'node:test';
import { launcherText } from '../../../src/cli/boot/launcher.ts';
import { openrcPlan } from '../../../src/cli/boot/openrc.ts';
import { ME } from '../../fakes/boot.ts';

test('a service of the default run level', () => {
  const { startup, unstartup, needsRoot } = openrcPlan(ME);
  assert.equal(needsRoot, true);
  assert.deepEqual(startup, [
    { kind: 'write', path: '/etc/upkeep/upkeep-me.sh', text: launcherText(ME) },
    {
      kind: 'write',
      path: '/etc/init.d/upkeep-me',
      text: `#!/sbin/openrc-run
# Written by \`upkeep startup\`; \`upkeep unstartup\` removes it.
description="upkeep for me: keeps programs running"
supervisor=supervise-daemon
command=/bin/sh
command_args="/etc/upkeep/upkeep-me.sh daemon"
command_user=me
respawn_delay=1
respawn_max=0
retry=SIGQUIT/90/SIGKILL/5

depend() {
  after localmount
  use dns logger
  use net
}
`,
      mode: 0o755,
    },
    { kind: 'run', command: ['rc-update', 'add', 'upkeep-me', 'default'] },
    { kind: 'run', command: ['rc-service', 'upkeep-me', 'start'] },
  ]);
  assert.deepEqual(unstartup, [
    { kind: 'remove', path: '/etc/upkeep/upkeep-me.sh' },
    { kind: 'run', command: ['rc-service', 'upkeep-me', 'stop'] },
    { kind: 'run', command: ['rc-update', 'del', 'upkeep-me', 'default'] },
    { kind: 'remove', path: '/etc/init.d/upkeep-me' },
  ]);
});

test('that needs the network where addresses are asked for', () => {
  const [, script] = openrcPlan({ ...ME, waitIp: true }).startup;
  assert.ok(script?.kind === 'write');
  assert.match(script.text, /^ {2}need net$/m);
});
