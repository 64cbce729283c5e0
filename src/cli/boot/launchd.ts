import { dirname, join } from 'node:path';
import { launcherText } from './launcher.ts';
import { type BootPlan, type BootTarget, LAUNCHERS, WRITTEN_BY } from './target.ts';

const STOP_SECONDS = 90;

/** A daemon of the system, or an agent that launchd starts when its user logs in. */
export function launchdPlan(target: BootTarget, scope: 'system' | 'user'): BootPlan {
  const { service, user, uid, userHome, home } = target;
  const system = scope === 'system';
  const daemon = `/Library/LaunchDaemons/upkeep-${user}.plist`;
  const agent = join(userHome, 'Library/LaunchAgents/upkeep.plist');
  const path = join(dirname(system ? daemon : agent), `${service}.plist`);
  const launcher = system ? `${LAUNCHERS}/${service}.sh` : join(home, 'launcher.sh');
  const domain = system ? 'system' : `gui/${uid}`;
  const loaded = ['launchctl', 'print', `${domain}/${service}`];
  return {
    init: system ? 'launchd' : 'launchd-user',
    service,
    needsRoot: system,
    rival: system ? agent : daemon,
    remark: system ? null : 'launchd starts it when you log in; `upkeep startup launchd` is for the boot itself',
    startup: [
      // launchd knows one signal to stop with.
      { kind: 'write', path: launcher, text: launcherText(target, 'kept-until-sigterm') },
      { kind: 'write', path, text: propertyList(target, launcher, system) },
      { kind: 'run', command: ['launchctl', 'bootstrap', domain, path], unless: loaded },
    ],
    unstartup: [
      { kind: 'remove', path: launcher },
      { kind: 'run', command: ['launchctl', 'bootout', `${domain}/${service}`] },
      { kind: 'remove', path },
    ],
  };
}

function propertyList({ service, user }: BootTarget, launcher: string, system: boolean): string {
  return `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<!-- ${WRITTEN_BY} -->
<plist version="1.0">
<dict>
  <key>Label</key>
  <string>${xml(service)}</string>
${system ? `  <key>UserName</key>\n  <string>${xml(user)}</string>\n` : ''}  <key>ProgramArguments</key>
  <array>
    <string>/bin/sh</string>
    <string>${xml(launcher)}</string>
    <string>daemon</string>
  </array>
  <key>RunAtLoad</key>
  <true/>
  <key>KeepAlive</key>
  <true/>
  <key>AbandonProcessGroup</key>
  <true/>
  <key>ExitTimeOut</key>
  <integer>${STOP_SECONDS}</integer>
  <key>ProcessType</key>
  <string>Interactive</string>
</dict>
</plist>
`;
}

function xml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
