import assert from 'node:assert/strict';
import { test } from 'node:test';
import { launchdPlan } from '../../../src/cli/boot/launchd.ts';
import { launcherText } from '../../../src/cli/boot/launcher.ts';
import { ME } from '../../fakes/boot.ts';

const mac = { ...ME, userHome: '/Users/me', home: '/Users/me/.upkeep', shell: '/bin/zsh' };

test('a daemon of the system', () => {
  const path = '/Library/LaunchDaemons/upkeep-me.plist';
  const launcher = '/etc/upkeep/upkeep-me.sh';
  const plan = launchdPlan(mac, 'system');
  assert.equal(plan.needsRoot, true);
  assert.deepEqual(plan.startup, [
    { kind: 'write', path: launcher, text: launcherText(mac, 'kept-until-sigterm') },
    {
      kind: 'write',
      path,
      text: `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<!-- Written by \`upkeep startup\`; \`upkeep unstartup\` removes it. -->
<plist version="1.0">
<dict>
  <key>Label</key>
  <string>upkeep-me</string>
  <key>UserName</key>
  <string>me</string>
  <key>ProgramArguments</key>
  <array>
    <string>/bin/sh</string>
    <string>/etc/upkeep/upkeep-me.sh</string>
    <string>daemon</string>
  </array>
  <key>RunAtLoad</key>
  <true/>
  <key>KeepAlive</key>
  <true/>
  <key>AbandonProcessGroup</key>
  <true/>
  <key>ExitTimeOut</key>
  <integer>90</integer>
  <key>ProcessType</key>
  <string>Interactive</string>
</dict>
</plist>
`,
    },
    {
      kind: 'run',
      command: ['launchctl', 'bootstrap', 'system', path],
      unless: ['launchctl', 'print', 'system/upkeep-me'],
    },
  ]);
  assert.deepEqual(plan.unstartup, [
    { kind: 'remove', path: launcher },
    { kind: 'run', command: ['launchctl', 'bootout', 'system/upkeep-me'] },
    { kind: 'remove', path },
  ]);
});

test("an agent of a user's own", () => {
  const plan = launchdPlan({ ...mac, service: 'upkeep', userHome: '/Users/a & b' }, 'user');
  assert.equal(plan.needsRoot, false);
  const [launcher, list, bootstrap] = plan.startup;
  assert.ok(launcher?.kind === 'write' && list?.kind === 'write' && bootstrap?.kind === 'run');
  assert.equal(launcher.path, '/Users/me/.upkeep/launcher.sh');
  assert.equal(list.path, '/Users/a & b/Library/LaunchAgents/upkeep.plist');
  assert.doesNotMatch(list.text, /UserName/);
  assert.deepEqual(bootstrap.command, ['launchctl', 'bootstrap', 'gui/1000', list.path]);
});

test('text is escaped', () => {
  const plan = launchdPlan({ ...mac, service: 'upkeep', home: '/Users/a & <b>/.upkeep' }, 'user');
  const list = plan.startup[1];
  assert.ok(list?.kind === 'write');
  assert.match(list.text, /<string>\/Users\/a &amp; &lt;b&gt;\/\.upkeep\/launcher\.sh<\/string>/);
});
