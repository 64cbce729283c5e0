import * as v from 'valibot';
import { duration } from '../config/values.ts';
import { UpkeepError } from '../protocol/errors.ts';
import type { Option, Options } from './command.ts';

export const CANARY: Option = [
  '--canary [time]',
  'watch the first new instance for this long (10s) before the others follow',
];

const DEFAULT_MS = 10_000;

/**
 * What follows `--canary` is its time only where it is one; else it is a target, as in `upkeep reload --canary api`.
 * @returns the command line with the time in one word with the flag.
 */
export function withCanaryTime(argv: readonly string[]): readonly string[] {
  return argv.map((arg, at) => {
    const next = argv[at + 1];
    const takesNext = next !== undefined && (next.startsWith('-') || v.safeParse(duration, next).success);
    return arg === '--canary' && !takesNext ? `--canary=${DEFAULT_MS}` : arg;
  });
}

/** @throws UpkeepError USAGE for what is no time. */
export function canaryOf(options: Options): number | undefined {
  const { canary } = options;
  if (canary === undefined) return undefined;
  if (canary === true) return DEFAULT_MS;
  const result = v.safeParse(duration, canary);
  if (result.success) return result.output;
  throw new UpkeepError('USAGE', `--canary: ${result.issues[0].message}, got ${JSON.stringify(canary)}`);
}
