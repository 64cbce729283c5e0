import { Command as Commander, CommanderError, Option as CommanderOption } from 'commander';
import { UpkeepError } from '../protocol/errors.ts';
import { withCanaryTime } from './canary.ts';
import { type Command, type Context, HIDDEN, isCalled, type Options } from './command.ts';
import { COMMANDS, MISSING_COMMANDS } from './commands.ts';

const OVERVIEW_HINT = 'upkeep help <command> tells more, upkeep list shows what runs.';

/** Parses a command line and runs its command. @returns the exit code. */
export async function parseAndRun(argv: readonly string[], context: Context): Promise<number> {
  // Only the named command is built: building all of them would be most of the time that `list` takes.
  const word = argv.find((arg) => !arg.startsWith('-'));
  const named = COMMANDS.filter((command) => word !== undefined && isCalled(command, word));
  const program = new Commander('upkeep')
    .description('Keeps programs running, alone or as a cluster, and replaces them without losing a request.')
    .version(context.version, '-v, --version')
    .option('-s, --silent', 'say nothing but errors')
    .option('--no-color', 'no colours')
    .enablePositionalOptions()
    .showSuggestionAfterError()
    .helpCommand('help [command]', 'tells about a command')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => context.out.data(text.trimEnd()),
      writeErr: (text) => context.out.problem(text.trimEnd()),
      outputError: (text, write) => {
        const about = named.length === 1 ? ` ${named[0]?.name}` : '';
        write(`${text.replace(/^error: /, 'upkeep: ').trimEnd()}\n  next: see \`upkeep help${about}\``);
      },
    })
    .addHelpText('after', `\n${OVERVIEW_HINT}`);

  const missing = word === argv[0] ? MISSING_COMMANDS.get(word ?? '') : undefined;
  if (missing !== undefined) throw new UpkeepError('USAGE', `"${word}" is not there yet`, { hint: missing });
  const topic = word === 'help' ? argv[argv.indexOf(word) + 1] : undefined;
  const isCommand = topic !== undefined && topic !== 'help' && !topic.startsWith('-');
  if (isCommand && !COMMANDS.some((command) => isCalled(command, topic))) {
    const hint = MISSING_COMMANDS.get(topic) ?? '`upkeep help` lists the commands';
    throw new UpkeepError('USAGE', `there is no command "${topic}"`, { hint });
  }
  let exitCode = 0;
  for (const command of named.length > 0 ? named : COMMANDS) {
    addCommand(program, command, async (args, options) => {
      const run = await command.load();
      exitCode = (await run(context, args, options)) ?? 0;
    });
  }
  if (argv.length === 0) {
    program.outputHelp();
    return 0;
  }
  try {
    await program.parseAsync([...withCanaryTime(argv)], { from: 'user' });
  } catch (error) {
    // It has said what is wrong, or printed the help.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    throw error;
  }
  return exitCode;
}

function addCommand(
  program: Commander,
  { name, aliases = [], args = '', summary, options = [], help }: Command,
  action: (args: readonly string[], options: Options) => Promise<void>,
): void {
  const command = program
    .command(`${name} ${args}`.trim())
    .description(summary)
    .aliases([...aliases]);
  for (const [flags, description] of options) {
    const option = new CommanderOption(flags, description);
    command.addOption(description === HIDDEN ? option.hideHelp() : option);
  }
  if (help) command.addHelpText('after', `\n${help}`);
  command.option('-s, --silent', 'say nothing but errors').option('--no-color', 'no colours');
  command.action((...given: unknown[]) => {
    const parsed = given
      .slice(0, -2)
      .flat()
      .filter((arg): arg is string => typeof arg === 'string');
    return action(parsed, command.opts());
  });
}
