/** The command line, all of it. */
import { COMMANDS } from '../cli/commands.ts';
import { parseAndRun } from '../cli/parse.ts';
import { runCommandLine } from '../cli/run.ts';
import { main } from './main.ts';

void main((argv, context) => runCommandLine(argv, context, COMMANDS, parseAndRun));
