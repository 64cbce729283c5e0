import { UpkeepError } from '../protocol/errors.ts';
import { type Command, type Context, isCalled } from './command.ts';
import { plain, plainLines } from './render/plain.ts';

/**
 * Runs one command line.
 * @param parse runs what is more than a lone word; null where there is nothing else.
 * @returns the exit code.
 */
export async function runCommandLine(
  argv: readonly string[],
  context: Context,
  commands: readonly Command[],
  parse: ((argv: readonly string[], context: Context) => Promise<number>) | null,
): Promise<number> {
  try {
    return (await runBare(argv, context, commands)) ?? (await parse?.(argv, context)) ?? 0;
  } catch (thrown) {
    if (context.signal.aborted) {
      context.out.problem('upkeep: interrupted; what the daemon was told to do goes on');
      return 130;
    }
    const error = UpkeepError.from(thrown);
    context.out.problem(`upkeep: ${plainLines(error.message)}`);
    for (const line of error.stderr) context.out.problem(`    ${plain(line)}`);
    const hint = error.hint?.replace('<command>', commandOf(argv, commands) ?? '<command>');
    if (hint) context.out.problem(`  next: ${plain(hint)}`);
    if (error.code === 'INTERNAL' && thrown instanceof Error && context.env['UPKEEP_DEBUG'])
      context.out.problem(thrown.stack ?? '');
    return error.exitCode;
  }
}

/** The name of the command that a command line names, whichever of its names it uses. */
function commandOf(argv: readonly string[], commands: readonly Command[]): string | undefined {
  const word = argv.find((arg) => !arg.startsWith('-')) ?? '';
  return commands.find((command) => isCalled(command, word))?.name;
}

/**
 * A lone word that names a command without required arguments, as `upkeep list`, needs no parser. @returns null for anything else.
 */
async function runBare(
  argv: readonly string[],
  context: Context,
  commands: readonly Command[],
): Promise<number | null> {
  const [word = ''] = argv;
  const command = argv.length === 1 ? commands.find((each) => isCalled(each, word)) : undefined;
  if (!command || command.args?.includes('<')) return null;
  const run = await command.load();
  return (await run(context, [], {})) ?? 0;
}
