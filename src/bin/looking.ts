/** The part of the command line that only looks: upkeep.cjs chooses it for a lone word that names such a command. */
import { LOOKING_COMMANDS } from '../cli/looking-commands.ts';
import { runCommandLine } from '../cli/run.ts';
import { main } from './main.ts';

void main((argv, context) => runCommandLine(argv, context, LOOKING_COMMANDS, null));
