import { delimiter, join } from 'node:path';
import { UpkeepError } from '../../protocol/errors.ts';
import { resolveHome } from '../../protocol/home.ts';
import type { Context, Options } from '../command.ts';
import { launchdPlan } from './launchd.ts';
import type { Machine } from './machine.ts';
import { openrcPlan } from './openrc.ts';
import { systemdPlan } from './systemd.ts';
import { type BootPlan, type BootTarget, INIT_SYSTEMS, type InitSystem } from './target.ts';

/** Names that pm2 knows. */
const OTHER_NAMES: ReadonlyMap<string, InitSystem> = new Map([
  ...['ubuntu', 'debian', 'centos', 'redhat', 'fedora', 'amazon', 'arch', 'oracle'].map(
    (name) => [name, 'systemd'] as const,
  ),
  ...['darwin', 'macos'].map((name) => [name, 'launchd'] as const),
  ...['gentoo', 'alpine'].map((name) => [name, 'openrc'] as const),
]);

/** What is to be done on this machine, for the user that is meant. */
export function choosePlan(
  context: Context,
  machine: Machine,
  platform: string | undefined,
  options: Options,
): { plan: BootPlan; target: BootTarget } {
  const init = chooseInit(machine, platform, options);
  const target = bootTarget(context, machine, init, options);
  return { plan: planOf(init, target, machine), target };
}

function planOf(init: InitSystem, target: BootTarget, machine: Machine): BootPlan {
  switch (init) {
    case 'systemd':
    case 'systemd-user':
      return systemdPlan(target, init === 'systemd' ? 'system' : 'user', runsSystemd(machine));
    case 'launchd':
    case 'launchd-user':
      return launchdPlan(target, init === 'launchd' ? 'system' : 'user');
    case 'openrc':
      return openrcPlan(target);
  }
}

/** Whoever may set up a service of the system gets one; others get one of their own, where nothing is said. */
function chooseInit(machine: Machine, platform: string | undefined, options: Options): InitSystem {
  if (platform !== undefined) {
    const known = INIT_SYSTEMS.find((init) => init === platform) ?? OTHER_NAMES.get(platform);
    if (known === undefined) throw new UpkeepError('INIT_UNKNOWN', `"${platform}" is no init system that upkeep knows`);
    return known;
  }
  const others = machine.uid === 0 || options['user'] !== undefined;
  if (machine.platform === 'darwin') return others ? 'launchd' : 'launchd-user';
  if (runsSystemd(machine)) {
    const manager = machine.realpath(`/run/user/${machine.uid}/systemd`) !== null;
    return others || !manager ? 'systemd' : 'systemd-user';
  }
  if (machine.realpath('/run/openrc') !== null) return 'openrc';
  throw new UpkeepError('INIT_UNKNOWN', 'neither systemd nor OpenRC nor launchd runs here');
}

/** As sd_booted(3) has it. */
function runsSystemd(machine: Machine): boolean {
  return machine.realpath('/run/systemd/system') !== null;
}

function bootTarget(context: Context, machine: Machine, init: InitSystem, options: Options): BootTarget {
  const { user: given, hp, serviceName, waitIp } = options as { [name: string]: string | undefined };
  const account = machine.account(given ?? null);
  if (account === null) throw new UpkeepError('USAGE', `--user: there is no user "${given}"`, { hint: null });
  const own = init.endsWith('-user');
  if (own && account.uid !== machine.uid) {
    const hint = `\`upkeep startup ${init.replace('-user', '')} -u ${account.user}\`, as root`;
    throw new UpkeepError('USAGE', `${init} is for your own services, not for those of ${account.user}`, { hint });
  }
  if (hp !== undefined && !hp.startsWith('/')) {
    throw new UpkeepError('USAGE', `--hp: expected an absolute path, got "${hp}"`, { hint: null });
  }
  const userHome = hp ?? account.userHome;
  const { root: home } = resolveHome({ UPKEEP_HOME: context.env['UPKEEP_HOME'], HOME: userHome });
  const service = serviceName ?? (own ? 'upkeep' : `upkeep-${account.user}`);
  if (!/^[\w:.-]+$/.test(service)) {
    const hint = 'letters, digits and _ : . - make a name';
    throw new UpkeepError('USAGE', `--service-name: "${service}" is no name for a service`, { hint });
  }
  return {
    service: service.replace(/\.service$/, ''),
    user: account.user,
    uid: account.uid,
    userHome,
    shell: account.shell,
    home,
    nodes: lastingNodes(context, machine),
    program: context.program,
    waitIp: waitIp !== undefined,
  };
}

/** Links on PATH to this Node.js go on leading to one after an upgrade; its own path may name the version. */
function lastingNodes({ env, execPath }: Context, machine: Machine): readonly string[] {
  const real = machine.realpath(execPath) ?? execPath;
  const links = (env['PATH'] ?? '')
    .split(delimiter)
    .filter((folder) => folder.startsWith('/') && !/node_modules|_multishells/.test(folder))
    .map((folder) => join(folder, 'node'))
    .filter((path) => machine.realpath(path) === real);
  return [...new Set([...links, execPath])];
}
