import { type Command, JSON_OUTPUT } from './command.ts';

/**
 * The commands that people and scripts call all the time. Alone, without options, they are run by a bundle of their own
 * (bin/looking.ts) that loads in a third of the time.
 */
export const LOOKING_COMMANDS: readonly Command[] = [
  {
    name: 'list',
    aliases: ['ls', 'l', 'ps', 'status'],
    summary: 'show all instances',
    options: [
      ['--sort <field>', 'id, name, mode, pid, uptime, restarts, status, cpu or memory; with :desc'],
      JSON_OUTPUT,
    ],
    load: async () => (await import('./commands/list.ts')).list,
  },
  {
    name: 'jlist',
    summary: "all instances as JSON, in pm2's shape",
    load: async () => (await import('./commands/list.ts')).jlist,
  },
  {
    name: 'prettylist',
    summary: 'the same, indented',
    load: async () => (await import('./commands/list.ts')).prettylist,
  },
  {
    name: 'ping',
    summary: 'is the daemon there?',
    options: [['--wait <seconds>', 'wait until it is there and has started all that was wanted'], JSON_OUTPUT],
    load: async () => (await import('./commands/daemon.ts')).ping,
  },
];
