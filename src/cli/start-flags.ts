import { type ReadApp, readApp } from '../config/read-app.ts';
import { UpkeepError } from '../protocol/errors.ts';
import type { Options } from './command.ts';

/** Flags whose option has another name than its own in snake case. */
const RENAMED: Readonly<Record<string, string>> = {
  output: 'out_file',
  error: 'error_file',
  log: 'log_file',
  nodeArgs: 'interpreter_args',
  user: 'uid',
};

/** Flags that are no options of an app. */
const OF_THE_COMMAND: ReadonlySet<string> = new Set(
  'force updateEnv env only json silent color pmx automation vizion daemon sourceMapSupport disableSourceMapSupport'.split(
    ' ',
  ),
);
/** Flags such as --no-autorestart: true unless given. */
const ON_BY_DEFAULT: ReadonlySet<string> = new Set(['autorestart', 'autostart', 'treekill', 'logCompress']);

/** The options of an app that the flags of `start` give. */
export function readFlags(flags: Options, script: string, args: readonly string[]): ReadApp {
  const raw: Record<string, unknown> = { script };
  if (args.length > 0) raw['args'] = args;
  for (const [flag, value] of Object.entries(flags)) {
    if (OF_THE_COMMAND.has(flag) || (ON_BY_DEFAULT.has(flag) && value === true)) continue;
    const key = RENAMED[flag] ?? flag.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    raw[key] = Array.isArray(value) && key === 'stop_exit_codes' ? value.join(',') : value;
  }
  try {
    return readApp(raw, 'options');
  } catch (error) {
    if (error instanceof UpkeepError) throw new UpkeepError('USAGE', error.message, { hint: error.hint, cause: error });
    throw error;
  }
}

/** Which of the flags that describe an app were given. */
export function hasAppFlags(flags: Options): boolean {
  return Object.entries(flags).some(
    ([flag, value]) => !OF_THE_COMMAND.has(flag) && !(ON_BY_DEFAULT.has(flag) && value === true),
  );
}
