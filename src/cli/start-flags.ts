import { type ReadApp, readApp, show } from '../config/read-app.ts';
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

/** What messages name in place of a file and its app. */
export const FLAGS = 'options';

/** Flags that are no options of an app. */
const OF_THE_COMMAND: ReadonlySet<string> = new Set(
  'force updateEnv env only json silent color pmx automation vizion daemon disableSourceMapSupport'.split(' '),
);
/** Flags such as --no-autorestart: true unless given. */
const ON_BY_DEFAULT: ReadonlySet<string> = new Set([
  'autorestart',
  'autostart',
  'erroredRetry',
  'logCompress',
  'moveConnections',
  'treekill',
]);

/** What a shell gives of an option that is no text. */
const FROM_TEXT: Readonly<Record<string, (given: unknown, flag: string) => unknown>> = {
  stop_exit_codes: (given) => (Array.isArray(given) ? given.join(',') : given),
  readiness: fromJson,
  liveness: fromJson,
};

/** The options of an app that the flags of `start` give. */
export function readFlags(flags: Options, script: string, args: readonly string[]): ReadApp {
  const raw: Record<string, unknown> = { script };
  if (args.length > 0) raw['args'] = args;
  for (const flag of appFlags(flags)) {
    const [key, value] = [keyOf(flag), flags[flag]];
    raw[key] = FROM_TEXT[key]?.(value, flag) ?? value;
  }
  return namingFlags(flags, () => readApp(raw, FLAGS));
}

/** Runs what may complain of an option of an app, and names the flag that it was given by. */
export function namingFlags<T>(flags: Options, action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (!(error instanceof UpkeepError)) throw error;
    const { code, message, hint } = error;
    const flag = appFlags(flags).find((given) => message.startsWith(`${FLAGS}: ${keyOf(given)}`));
    const named =
      flag === undefined ? message : message.replace(`${FLAGS}: ${keyOf(flag)}`, inWords(flag, flags[flag]));
    throw new UpkeepError(code === 'CONFIG_INVALID' ? 'USAGE' : code, named, { hint, cause: error });
  }
}

/** The flags that describe an app, as they were typed. */
export function typedAppFlags(flags: Options): readonly string[] {
  return appFlags(flags).map((flag) => inWords(flag, flags[flag]));
}

function appFlags(flags: Options): readonly string[] {
  return Object.entries(flags)
    .filter(([flag, value]) => !OF_THE_COMMAND.has(flag) && !(ON_BY_DEFAULT.has(flag) && value === true))
    .map(([flag]) => flag);
}

/** @throws UpkeepError USAGE for what is none. */
function fromJson(given: unknown, flag: string): unknown {
  try {
    return JSON.parse(String(given));
  } catch {
    const text = `${inWords(flag, given)}: expected JSON, such as '{"http": "/healthz"}', got ${show(given)}`;
    throw new UpkeepError('USAGE', text, { hint: 'docs/configuration.md lists its keys' });
  }
}

function keyOf(flag: string): string {
  return RENAMED[flag] ?? flag.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** As it was typed: what is on by default has a `--no-`, unless another value was given. */
function inWords(flag: string, given: unknown): string {
  const word = flag.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  return ON_BY_DEFAULT.has(flag) && given === false ? `--no-${word}` : `--${word}`;
}
