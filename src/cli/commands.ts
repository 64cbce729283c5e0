import { CANARY } from './canary.ts';
import { type Command, JSON_OUTPUT, type Option } from './command.ts';
import { LOOKING_COMMANDS } from './looking-commands.ts';
import { START_OPTIONS } from './start-options.ts';

const UPDATE_ENV: Option = ['-a, --update-env', "take over this shell's environment"];
const ENVIRONMENT: Option = ['--env <name>', 'use the env_<name> block of the ecosystem file'];
const ONLY: Option = ['--only <names>', 'only these apps of the file, separated by commas'];
const TARGETS = '<targets...>';
const TARGETS_HELP =
  'A target is a name, an id, a namespace, namespace/name, all, /regex/ on names, or an ecosystem file.';
const FROM_FILE: readonly Option[] = [UPDATE_ENV, ENVIRONMENT, ONLY, JSON_OUTPUT];

const BOOT_OPTIONS: readonly Option[] = [
  ['-u, --user <user>', 'whose upkeep it is'],
  ['--hp <folder>', 'home folder of that user'],
  ['--service-name <name>', 'name of the service (upkeep-<user>)'],
  ['--wait-ip', 'wait until the network is configured'],
  ['--dry-run', 'only print what would be done'],
  JSON_OUTPUT,
];

/** Commands of pm2 that are not there yet, with what to do meanwhile. */
export const MISSING_COMMANDS: ReadonlyMap<string, string> = new Map([
  ...(
    'monit dashboard dash imonit deepUpdate attach send trigger serve ' +
    'expose deploy install uninstall create inspect report slist sysinfos completion init ecosystem examples set get ' +
    'unset multiset conf config pull forward backward link unlink open monitor unmonitor plus login logout'
  )
    .split(' ')
    .map((name) => [name, 'docs/status.md tells what is there'] as const),
  ['logrotate', 'not needed: logs are rotated without it; docs/logs.md'] as const,
]);

/** Every command, in the order of the help. */
export const COMMANDS: readonly Command[] = [
  {
    name: 'start',
    args: '[targets...]',
    summary: 'start a script, a program, a command line in quotes, an ecosystem file, or an app by name',
    options: [...START_OPTIONS, ['-f, --force', 'restart it with these options if it runs already'], ...FROM_FILE],
    help: [
      'What stands after -- are arguments of the app. Examples:',
      '  upkeep start app.js -i 4              a cluster of four workers that share the port',
      '  upkeep start worker.py --name jobs    any language',
      '  upkeep start "npm run dev"            a command line',
      '  upkeep start ecosystem.config.js --env production',
    ].join('\n'),
    load: async () => (await import('./commands/start.ts')).start,
  },
  {
    name: 'stop',
    args: TARGETS,
    summary: 'stop apps; they stay in the list',
    options: [ONLY, JSON_OUTPUT],
    help: TARGETS_HELP,
    load: async () => (await import('./commands/operate.ts')).stop,
  },
  {
    name: 'restart',
    args: TARGETS,
    summary: 'stop and start apps again; an ecosystem file also brings its changes in',
    options: FROM_FILE,
    help: TARGETS_HELP,
    load: async () => (await import('./commands/operate.ts')).restart,
  },
  {
    name: 'reload',
    aliases: ['gracefulReload'],
    args: TARGETS,
    summary: 'replace the workers of a cluster one by one, each when its new one serves; restart in fork mode',
    options: [...FROM_FILE, CANARY],
    help: TARGETS_HELP,
    load: async () => (await import('./commands/operate.ts')).reload,
  },
  {
    name: 'delete',
    aliases: ['del'],
    args: TARGETS,
    summary: 'stop apps and take them off the list',
    options: [ONLY, JSON_OUTPUT],
    help: TARGETS_HELP,
    load: async () => (await import('./commands/operate.ts')).remove,
  },
  ...(['startOrRestart', 'startOrReload', 'startOrGracefulReload'] as const).map(
    (name): Command => ({
      name,
      args: '<file>',
      summary: `start what the ecosystem file names, ${name === 'startOrRestart' ? 'restart' : 'reload'} what runs`,
      options: FROM_FILE,
      load: async () => {
        const { startOrRestart, startOrReload } = await import('./commands/operate.ts');
        return name === 'startOrRestart' ? startOrRestart : startOrReload;
      },
    }),
  ),
  {
    name: 'rollback',
    args: TARGETS,
    summary: 'go back to what served before the last change, release folder included',
    options: [['-f, --force', 'also where the last change failed, and what is there served before it'], JSON_OUTPUT],
    load: async () => (await import('./commands/rollback.ts')).rollback,
  },
  {
    name: 'plan',
    args: '<file>',
    summary: 'show what apply would do: create, change, scale, remove',
    options: [ENVIRONMENT, ONLY, JSON_OUTPUT],
    load: async () => (await import('./commands/plan.ts')).plan,
  },
  {
    name: 'apply',
    args: '<file>',
    summary:
      'bring all apps of an ecosystem file in line with it, by rolling replacement; what is as it should be goes on',
    options: [ENVIRONMENT, ONLY, CANARY, JSON_OUTPUT],
    help: 'The environment is what the file declares, and pass_env; not the rest of this shell.',
    load: async () => (await import('./commands/plan.ts')).apply,
  },
  {
    name: 'scale',
    args: '<app> <count>',
    summary: 'to that many instances (6), more (+3) or fewer (-2)',
    options: [JSON_OUTPUT],
    load: async () => (await import('./commands/scale.ts')).scale,
  },
  {
    name: 'reset',
    args: TARGETS,
    summary: 'set restart counters to zero',
    load: async () => (await import('./commands/operate.ts')).reset,
  },
  {
    name: 'sendSignal',
    args: '<signal> <targets...>',
    summary: 'send a signal to the main processes',
    load: async () => (await import('./commands/send-signal.ts')).sendSignal,
  },
  ...LOOKING_COMMANDS,
  {
    name: 'describe',
    aliases: ['desc', 'info', 'show'],
    args: '<target>',
    summary: 'show all there is to know about an app',
    options: [JSON_OUTPUT],
    load: async () => (await import('./commands/describe.ts')).describe,
  },
  {
    name: 'logs',
    aliases: ['log'],
    args: '[targets...]',
    summary: 'show the last lines of the logs, then follow them',
    options: [
      ['--lines <count>', 'how many of the last lines of each instance (15; with --since all)'],
      ['--since <time>', 'only what was written since: 10m, 2h, 1d, 14:30, "2025-12-31 14:30"'],
      ['--until <time>', 'only what was written until then'],
      ['--grep <regex>', 'only lines that match; /regex/i for any case'],
      ['--level <level>', 'of lines in JSON, only those of this level and above: debug, info, warn, error ...'],
      ['--nostream', 'do not follow'],
      ['--out', 'stdout only'],
      ['--err', 'stderr only'],
      ['--raw', 'the lines as they are, without the name of the app'],
      ['--json', 'each line as an object of JSON'],
      ['--format', 'each line as timestamp=... app=... id=... type=... message=...'],
      ['--timestamp [format]', 'with the time at which it was written, such as HH:mm:ss.SSS'],
      ['--highlight <text>', 'highlight this text'],
    ],
    load: async () => (await import('./commands/logs.ts')).logs,
  },
  {
    name: 'flush',
    args: '[targets...]',
    summary: 'empty the log files, and remove what was set aside of them',
    load: async () => (await import('./commands/flush.ts')).flush,
  },
  {
    name: 'reloadLogs',
    summary: 'open all log files anew, as after another program has moved them away',
    load: async () => (await import('./commands/flush.ts')).reloadLogs,
  },
  {
    name: 'id',
    args: '<target>',
    summary: 'print ids',
    options: [JSON_OUTPUT],
    load: async () => (await import('./commands/identify.ts')).id,
  },
  {
    name: 'pid',
    args: '[target]',
    summary: 'print pids; the one of the daemon without a target',
    options: [JSON_OUTPUT],
    load: async () => (await import('./commands/identify.ts')).pid,
  },
  {
    name: 'env',
    args: '<id>',
    summary: 'print the environment of an instance, secrets included',
    options: [JSON_OUTPUT],
    load: async () => (await import('./commands/identify.ts')).env,
  },
  {
    name: 'update',
    aliases: ['updatePM2'],
    summary: 'replace the daemon and the supervisors by those of this version; the apps go on',
    options: [JSON_OUTPUT],
    load: async () => (await import('./commands/update.ts')).update,
  },
  {
    name: 'startup',
    args: '[platform]',
    summary: 'start upkeep with the machine, and with it what ran before: by systemd, OpenRC or launchd',
    options: BOOT_OPTIONS,
    help: [
      'Prints what it does: files and commands. What needs root it leaves to you, and prints the command to run.',
      'A platform is systemd, systemd-user, openrc, launchd or launchd-user; without one, it is found out.',
    ].join('\n'),
    load: async () => (await import('./commands/startup.ts')).startup,
  },
  {
    name: 'unstartup',
    args: '[platform]',
    summary: 'undo startup; what runs goes on',
    options: BOOT_OPTIONS,
    load: async () => (await import('./commands/startup.ts')).unstartup,
  },
  {
    name: 'save',
    aliases: ['dump'],
    summary: 'keep the list as it is now, for resurrect',
    options: [['-f, --force', 'even if it is empty, and the one that is saved is not']],
    help: 'Not needed for a restart of the daemon or the machine: what is wanted then is on disk at every change.',
    load: async () => (await import('./commands/saved-list.ts')).save,
  },
  {
    name: 'resurrect',
    summary: 'start what was saved and is not in the list',
    options: [JSON_OUTPUT],
    load: async () => (await import('./commands/saved-list.ts')).resurrect,
  },
  {
    name: 'cleardump',
    summary: 'empty what was saved',
    load: async () => (await import('./commands/saved-list.ts')).cleardump,
  },
  {
    name: 'kill',
    summary: 'stop and forget all apps, and end the daemon',
    load: async () => (await import('./commands/daemon.ts')).kill,
  },
];
