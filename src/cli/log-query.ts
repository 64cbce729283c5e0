import type { Wanted } from '../logs/log-snapshot.ts';
import type { LineEncoding } from '../logs/read-lines.ts';
import { UpkeepError } from '../protocol/errors.ts';
import type { Options } from './command.ts';

const DEFAULT_LINES = 15;
/** They are held in memory. */
const MOST_LINES = 1_000_000;

/** Which lines `logs` is asked for. */
export interface LogQuery {
  /** The last so many lines of each instance; null for all that are wanted. */
  readonly count: number | null;
  readonly wanted: Wanted;
  readonly follow: boolean;
  readonly out: boolean;
  readonly err: boolean;
  /** What may not be meant so. */
  readonly notes: readonly string[];
}

/** @param encoding of the lines; patterns are of their texts all the same. */
export function readQuery(options: Options, now: number, encoding: LineEncoding = 'utf8'): LogQuery {
  const since = momentOf(options, 'since', now);
  const until = momentOf(options, 'until', now, since);
  const given = lineCount(options['lines']);
  const both = options['out'] !== true && options['err'] !== true;
  return {
    count: given ?? (since === null ? DEFAULT_LINES : null),
    wanted: { since, until, encoding, matches: matcherOf(options, encoding) },
    // What is still to come is later than what has been.
    follow: options['nostream'] !== true && (until === null || until > now),
    out: both || options['out'] === true,
    err: both || options['err'] === true,
    notes: notesOn(since, until, now),
  };
}

function notesOn(since: number | null, until: number | null, now: number): string[] {
  const shown = (time: number): string => new Date(time).toString();
  const notes = Object.entries({ since, until }).flatMap(([name, time]) =>
    time !== null && time > now ? `--${name} is in the future: ${shown(time)}` : [],
  );
  if (since === null || until === null || since <= until) return notes;
  return [...notes, `there is nothing to show: --since (${shown(since)}) is after --until (${shown(until)})`];
}

function textOf(option: unknown): string | null {
  return typeof option === 'string' ? option : null;
}

function lineCount(given: unknown): number | null {
  if (given === undefined) return null;
  if (typeof given === 'string' && /^\d+$/.test(given)) {
    if (Number(given) <= MOST_LINES) return Number(given);
    throw new UpkeepError('USAGE', `--lines: expected at most ${MOST_LINES}, got ${given}`, {
      hint: '--since shows all since a time, however many',
    });
  }
  throw new UpkeepError('USAGE', `--lines takes a number, got ${JSON.stringify(given)}`);
}

function momentOf(options: Options, name: 'since' | 'until', now: number, after: number | null = null): number | null {
  const given = textOf(options[name]);
  if (given === null) return null;
  const moment = parseMoment(given, now, after);
  if (moment !== null) return moment;
  throw new UpkeepError('USAGE', `--${name}: expected a time, got ${JSON.stringify(given)}`, {
    hint: 'such as 10m, 1h30m, 1d, 14:30, 2025-12-31, "2025-12-31 14:30" or 2025-12-31T13:30:00Z',
  });
}

const UNITS_MS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };

/**
 * @param after a time of day is the first one after this; null: the last one until now.
 * @returns milliseconds since the epoch; null for what is no time. Times without a zone are local.
 */
export function parseMoment(text: string, now: number, after: number | null = null): number | null {
  if (/^(\d+(\.\d+)?[smhdw])+$/.test(text)) {
    const parts = text.matchAll(/(\d+(?:\.\d+)?)([smhdw])/g);
    return now - [...parts].reduce((sum, [, count, unit = '']) => sum + Number(count) * (UNITS_MS[unit] ?? 0), 0);
  }
  if (text === 'now') return now;
  const clock = /^(\d{1,2}):(\d\d)(?::(\d\d))?$/.exec(text);
  if (clock) {
    const [hour, minute, second] = [clock[1], clock[2], clock[3] ?? '0'].map(Number) as [number, number, number];
    if (hour > 23 || minute > 59 || second > 59) return null;
    const moment = new Date(after ?? now);
    moment.setHours(hour, minute, second, 0);
    if (after === null && moment.getTime() > now) moment.setDate(moment.getDate() - 1);
    if (after !== null && moment.getTime() <= after) moment.setDate(moment.getDate() + 1);
    return moment.getTime();
  }
  const date = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d+)?)?)\s*(Z|[+-]\d\d:?\d\d)?)?$/.exec(text);
  if (!date) return null;
  const time = Date.parse(`${date[1]}T${date[2] ?? '00:00'}${date[3] ?? ''}`);
  return Number.isNaN(time) ? null : time;
}

function matcherOf(options: Options, encoding: LineEncoding): (text: string) => boolean {
  const matches = textMatcherOf(options);
  if (matches === null) return () => true;
  return encoding === 'utf8' ? matches : (text) => matches(Buffer.from(text, encoding).toString('utf8'));
}

/** @returns null where all match. */
function textMatcherOf(options: Options): ((text: string) => boolean) | null {
  const [pattern, name] = [textOf(options['grep']), textOf(options['level'])];
  const grep = pattern === null ? null : expressionOf(pattern);
  const level = name === null ? null : levelOf(name);
  if (level === null) return grep === null ? null : (text) => grep.test(text);
  return (text) => (grep === null || grep.test(text)) && (levelInLine(text) ?? -1) >= level;
}

/** A regular expression, or one between slashes with its flags. */
function expressionOf(given: string): RegExp {
  const slashed = /^\/(.+)\/([a-z]*)$/.exec(given);
  try {
    // Neither may remember where it was.
    return new RegExp(slashed?.[1] ?? given, slashed?.[2]?.replace(/[gy]/g, ''));
  } catch (cause) {
    throw new UpkeepError('USAGE', `--grep: ${given} is no regular expression: ${(cause as Error).message}`, { cause });
  }
}

/** As pino numbers them; others' names beside. */
const LEVELS: Readonly<Record<string, number>> = {
  trace: 10,
  silly: 10,
  debug: 20,
  verbose: 20,
  info: 30,
  http: 30,
  notice: 30,
  warn: 40,
  warning: 40,
  error: 50,
  err: 50,
  fatal: 60,
  crit: 60,
  critical: 60,
  alert: 60,
  emerg: 60,
  panic: 60,
};

function levelOf(given: string): number {
  const level = LEVELS[given.toLowerCase()] ?? (/^\d+$/.test(given) ? Number(given) : undefined);
  if (level !== undefined) return level;
  throw new UpkeepError('USAGE', `--level: there is no level ${JSON.stringify(given)}`, {
    hint: 'trace, debug, info, warn, error or fatal; lines of that level and above are shown',
  });
}

/** @returns null for a line that is no object of JSON, or has no level. */
function levelInLine(text: string): number | null {
  const at = text.indexOf('{');
  if (at === -1) return null;
  try {
    const fields = JSON.parse(text.slice(at)) as Record<string, unknown> | null;
    const level = fields?.['level'] ?? fields?.['severity'] ?? fields?.['levelname'] ?? fields?.['lvl'];
    if (typeof level === 'number') return level;
    return typeof level === 'string' ? (LEVELS[level.toLowerCase()] ?? null) : null;
  } catch {
    return null;
  }
}
