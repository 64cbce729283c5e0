import { dirname, join } from 'node:path';
import { launcherText } from './launcher.ts';
import { type BootPlan, type BootStep, type BootTarget, LAUNCHERS, WRITTEN_BY } from './target.ts';

/** The apps get kill_timeout; this bounds the whole of it, should upkeep itself hang. */
const STOP_SECONDS = 90;
/** How long `systemctl start` waits for the apps at most; systemd's own limit must be longer. */
const READY_SECONDS = 60;

/**
 * A unit whose main process is the daemon. docs/adr/0010-boot.md tells why it is as it is.
 * @param booted whether systemd runs, and not only its files are there, as where an image is built.
 */
export function systemdPlan(target: BootTarget, scope: 'system' | 'user', booted: boolean): BootPlan {
  const unit = `${target.service}.service`;
  const system = scope === 'system';
  const ofSystem = '/etc/systemd/system';
  const ofUser = join(target.userHome, '.config/systemd/user');
  const launcher = system ? `${LAUNCHERS}/${target.service}.sh` : join(target.home, 'launcher.sh');
  const systemctl = system ? ['systemctl'] : ['systemctl', '--user'];
  const run = (...args: string[]) => ({ kind: 'run', command: [...systemctl, ...args] }) as const;
  const now = booted ? ['--now'] : [];
  const reload = booted ? [run('daemon-reload')] : [];
  const path = join(system ? ofSystem : ofUser, unit);
  return {
    init: system ? 'systemd' : 'systemd-user',
    service: unit,
    needsRoot: system,
    rival: system ? join(ofUser, 'upkeep.service') : join(ofSystem, `upkeep-${target.user}.service`),
    remark: null,
    startup: [
      { kind: 'write', path: launcher, text: launcherText(target) },
      { kind: 'write', path, text: unitText(target, launcher, system) },
      ...reload,
      run('enable', ...now, unit),
      ...(system ? [] : [linger(target.user)]),
    ],
    // Without its launcher, a daemon that is told to stop leaves the apps alone.
    unstartup: [{ kind: 'remove', path: launcher }, run('disable', ...now, unit), { kind: 'remove', path }, ...reload],
  };
}

/** Without it, services of a user start at login and end at logout. */
function linger(user: string): BootStep {
  return {
    kind: 'run',
    command: ['loginctl', 'enable-linger'],
    unless: ['test', '-e', `/var/lib/systemd/linger/${user}`],
    otherwise: { missing: 'it starts at your first login, not at boot', command: ['loginctl', 'enable-linger', user] },
  };
}

function unitText({ user, home, waitIp }: BootTarget, launcher: string, system: boolean): string {
  const network = waitIp ? 'network-online.target' : 'network.target';
  const jobs = system ? 'systemctl' : 'systemctl --user';
  const lines = [
    `# ${WRITTEN_BY}`,
    '[Unit]',
    `Description=upkeep for ${user}: keeps programs running`,
    ...(system ? [`After=${network}`, `RequiresMountsFor=${word(dirname(home))}`] : []),
    ...(system && waitIp ? [`Wants=${network}`] : []),
    'StartLimitIntervalSec=0',
    '',
    '[Service]',
    'Type=exec',
    ...(system ? [`User=${user}`] : []),
    `ExecStart=/bin/sh ${word(launcher)} daemon`,
    '# Until then the unit is "activating": what is ordered after it finds the apps running.',
    `ExecStartPost=-/bin/sh ${word(launcher)} ping --wait ${READY_SECONDS}`,
    `TimeoutStartSec=${READY_SECONDS + 30}`,
    '# SIGQUIT: the daemon stops all apps. For a restart it gets SIGTERM before, and they go on.',
    `ExecStop=${system ? '+' : ''}/bin/sh -c '${jobs} list-jobs | grep -Eq "[[:space:]]%n[[:space:]]+restart[[:space:]]" || exit 0; kill -TERM $$MAINPID; while kill -0 $$MAINPID 2>/dev/null; do sleep 0.1; done'`,
    'KillSignal=SIGQUIT',
    'KillMode=process',
    `TimeoutStopSec=${STOP_SECONDS}`,
    'Restart=always',
    'RestartSec=100ms',
    '# The death of one app for want of memory is its own matter.',
    'OOMPolicy=continue',
    'Delegate=yes',
    'LimitNOFILE=1048576',
    'TasksMax=infinity',
    '',
    '[Install]',
    `WantedBy=${system ? 'multi-user.target' : 'default.target'}`,
  ];
  return `${lines.join('\n')}\n`;
}

/** A word as systemd takes it. */
function word(text: string): string {
  const escaped = text.replaceAll('%', '%%').replaceAll('$', '$$$$');
  return /^[\w%@+=:,./$-]+$/.test(escaped) ? escaped : `"${escaped.replace(/["\\]/g, '\\$&')}"`;
}
