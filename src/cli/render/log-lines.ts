import { DEFAULTS } from '../../domain/app-spec.ts';
import { ownFields } from '../../logs/own-fields.ts';
import type { LogLine } from '../../logs/read-lines.ts';
import { UpkeepError } from '../../protocol/errors.ts';
import type { Options } from '../command.ts';
import type { LogSource } from '../log-sources.ts';
import { highlighted, OF_APPS, red } from './colours.ts';
import { plain } from './plain.ts';

/** A line and where it is from. */
export interface SourceLine extends LogLine {
  readonly source: LogSource;
}

/** Makes of a line what is shown of it. */
export type LinePrinter = (line: SourceLine) => string;

/** How a line is shown: one of them. */
const SHAPES = ['json', 'raw', 'format', 'timestamp'] as const;

/** @throws UpkeepError USAGE */
export async function linePrinter(options: Options): Promise<LinePrinter> {
  const [shape, ...others] = SHAPES.filter((name) => options[name] !== undefined).map((name) => `--${name}`);
  if (others.length > 0) {
    throw new UpkeepError('USAGE', `${shape} and ${others.join(' and ')} exclude each other`, {
      hint: 'each says how lines are shown; --json and --format have the time',
    });
  }
  if (options['json']) return asJson;
  if (options['raw']) return ({ text }) => text;
  if (options['format']) return asFields;
  const dateFormat = dateFormatOf(options['timestamp']);
  const stamp = dateFormat === null ? () => '' : await stamper(dateFormat);
  const mark = typeof options['highlight'] === 'string' ? highlighter(options['highlight']) : (text: string) => text;
  const colours = new Map<string, (text: string) => string>();
  return ({ source, time, text }) => {
    const colour = colours.get(source.app) ?? OF_APPS[colours.size % OF_APPS.length] ?? red;
    colours.set(source.app, colour);
    const bar = source.stream === 'err' ? red('|') : colour('|');
    return `${colour(labelOf(source))} ${bar} ${stamp(time)}${mark(text)}`;
  };
}

function labelOf({ app, id }: LogSource): string {
  return plain(id === null ? app : `${id}|${app}`);
}

function dateFormatOf(given: unknown): string | null {
  if (given === undefined) return null;
  if (typeof given !== 'string') return DEFAULTS.dateFormat;
  if (isDateFormat(given)) return given;
  throw new UpkeepError('USAGE', `--timestamp: ${JSON.stringify(given)} is no format of a time`, {
    hint: 'such as HH:mm:ss.SSS; where it is an app, name that first: `upkeep logs <app> --timestamp`',
  });
}

const WORD = /\p{L}+/gu;
const ESCAPED = /\[[^\]]*\]/g;
const TOKENS = /^(Y{1,4}|M{1,4}|D{1,2}|d{1,4}|H{1,2}|h{1,2}|[aA]|m{1,2}|s{1,2}|SSS|Z{1,2}|T)+$/;

/** Whether a word of it is made of dayjs's tokens: most names have a letter that is one. */
function isDateFormat(text: string): boolean {
  return (text.replace(ESCAPED, ' ').match(WORD) ?? []).some((word) => TOKENS.test(word));
}

async function stamper(dateFormat: string): Promise<(time: number) => string> {
  const { default: dayjs } = await import('dayjs');
  return (time) => `${dayjs(time).format(dateFormat)}: `;
}

/** As the logs of `log_type: json` have them. */
function asJson({ source: { app, id, stream }, time, text }: SourceLine): string {
  // It comes from such a log.
  if (/^\{"time":"[^"]*","app":"/.test(text) && ownFields(text) !== null) return text;
  const fields = JSON.stringify({ time: new Date(time).toISOString(), app, instance: id, stream });
  const own = (text.startsWith('{') && ownFields(text)) || `,${JSON.stringify({ message: text }).slice(1)}`;
  return `${fields.slice(0, -1)}${own}`;
}

/** As pm2 has them. */
function asFields({ source: { app, id, stream }, time, text }: SourceLine): string {
  const type = stream === 'err' ? 'error' : stream;
  return `timestamp=${new Date(time).toISOString()} app=${app} id=${id ?? 'all'} type=${type} message=${text}`;
}

function highlighter(word: string): (text: string) => string {
  return (text) => (word === '' ? text : text.replaceAll(word, highlighted(word)));
}
