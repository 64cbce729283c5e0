import { launcherText } from './launcher.ts';
import { type BootPlan, type BootTarget, LAUNCHERS, WRITTEN_BY } from './target.ts';

const STOP_SECONDS = 90;

/** A service of the default run level, kept by supervise-daemon. */
export function openrcPlan(target: BootTarget): BootPlan {
  const { service, user, waitIp } = target;
  const launcher = `${LAUNCHERS}/${service}.sh`;
  const path = `/etc/init.d/${service}`;
  const text = `#!/sbin/openrc-run
# ${WRITTEN_BY}
description="upkeep for ${user}: keeps programs running"
supervisor=supervise-daemon
command=/bin/sh
command_args="${launcher} daemon"
command_user=${user}
respawn_delay=1
respawn_max=0
retry=SIGQUIT/${STOP_SECONDS}/SIGKILL/5

depend() {
  after localmount
  use dns logger
  ${waitIp ? 'need' : 'use'} net
}
`;
  return {
    init: 'openrc',
    service,
    needsRoot: true,
    rival: null,
    remark: null,
    startup: [
      { kind: 'write', path: launcher, text: launcherText(target) },
      { kind: 'write', path, text, mode: 0o755 },
      { kind: 'run', command: ['rc-update', 'add', service, 'default'] },
      { kind: 'run', command: ['rc-service', service, 'start'] },
    ],
    unstartup: [
      { kind: 'remove', path: launcher },
      { kind: 'run', command: ['rc-service', service, 'stop'] },
      { kind: 'run', command: ['rc-update', 'del', service, 'default'] },
      { kind: 'remove', path },
    ],
  };
}
