import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { systemdPlan } from '../../../src/cli/boot/systemd.ts';
import type { BootPlan } from '../../../src/cli/boot/target.ts';
import { ME } from '../../fakes/boot.ts';

const summary = (steps: BootPlan['startup']) =>
  steps.map((step) => (step.kind === 'run' ? step.command.join(' ') : `${step.kind} ${step.path}`));

function unitOf(plan: BootPlan): string {
  const step = plan.startup.find((candidate) => candidate.kind === 'write' && candidate.path.endsWith('.service'));
  return step?.kind === 'write' ? step.text : '';
}

describe('a unit of the system', () => {
  const plan = systemdPlan(ME, 'system', true);

  test('is written, enabled and started; and all of that is undone, the launcher first', () => {
    assert.deepEqual(summary(plan.startup), [
      'write /etc/upkeep/upkeep-me.sh',
      'write /etc/systemd/system/upkeep-me.service',
      'systemctl daemon-reload',
      'systemctl enable --now upkeep-me.service',
    ]);
    assert.deepEqual(summary(plan.unstartup), [
      'remove /etc/upkeep/upkeep-me.sh',
      'systemctl disable --now upkeep-me.service',
      'remove /etc/systemd/system/upkeep-me.service',
      'systemctl daemon-reload',
    ]);
  });

  test('is only enabled where systemd does not run', () => {
    const image = systemdPlan(ME, 'system', false);
    assert.equal(summary(image.startup).at(-1), 'systemctl enable upkeep-me.service');
    assert.doesNotMatch(summary([...image.startup, ...image.unstartup]).join('\n'), /daemon-reload|--now/);
  });

  test('reads as it should', () => {
    assert.equal(
      unitOf(plan),
      `# Written by \`upkeep startup\`; \`upkeep unstartup\` removes it.
[Unit]
Description=upkeep for me: keeps programs running
After=network.target
RequiresMountsFor=/home/me
StartLimitIntervalSec=0

[Service]
Type=exec
User=me
ExecStart=/bin/sh /etc/upkeep/upkeep-me.sh daemon
# Until then the unit is "activating": what is ordered after it finds the apps running.
ExecStartPost=-/bin/sh /etc/upkeep/upkeep-me.sh ping --wait 60
TimeoutStartSec=90
# SIGQUIT: the daemon stops all apps. For a restart it gets SIGTERM before, and they go on.
ExecStop=+/bin/sh -c 'systemctl list-jobs | grep -Eq "[[:space:]]%n[[:space:]]+restart[[:space:]]" || exit 0; kill -TERM $$MAINPID; while kill -0 $$MAINPID 2>/dev/null; do sleep 0.1; done'
KillSignal=SIGQUIT
KillMode=process
TimeoutStopSec=90
Restart=always
RestartSec=100ms
# The death of one app for want of memory is its own matter.
OOMPolicy=continue
Delegate=yes
LimitNOFILE=1048576
TasksMax=infinity

[Install]
WantedBy=multi-user.target
`,
    );
  });

  test('waits for addresses where that is asked for', () => {
    const unit = unitOf(systemdPlan({ ...ME, waitIp: true }, 'system', true));
    assert.match(unit, /^After=network-online\.target$/m);
    assert.match(unit, /^Wants=network-online\.target$/m);
  });

  test('has paths as systemd takes them', () => {
    const unit = unitOf(systemdPlan({ ...ME, home: '/home/m e/100%/$x/"q"/.upkeep' }, 'system', true));
    assert.match(unit, /^RequiresMountsFor="\/home\/m e\/100%%\/\$\$x\/\\"q\\""$/m);
  });
});

describe("a unit of a user's own", () => {
  const plan = systemdPlan({ ...ME, service: 'upkeep' }, 'user', true);

  test('is in the home, and is to start without a login', () => {
    assert.equal(plan.needsRoot, false);
    assert.deepEqual(summary(plan.startup), [
      'write /home/me/.upkeep/launcher.sh',
      'write /home/me/.config/systemd/user/upkeep.service',
      'systemctl --user daemon-reload',
      'systemctl --user enable --now upkeep.service',
      'loginctl enable-linger',
    ]);
  });

  test('has nothing that only the system has', () => {
    const unit = unitOf(plan);
    assert.doesNotMatch(unit, /^(User|After|Wants|RequiresMountsFor)=|=\+/m);
    assert.match(unit, /^ExecStop=\/bin\/sh -c 'systemctl --user list-jobs /m);
    assert.match(unit, /^WantedBy=default\.target$/m);
  });
});
