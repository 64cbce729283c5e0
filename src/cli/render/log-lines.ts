import { DEFAULTS } from '../../domain/app-spec.ts';
import { ownFields } from '../../logs/own-fields.ts';
import type { LogLine } from '../../logs/read-lines.ts';
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

export async function linePrinter(options: Options): Promise<LinePrinter> {
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
  return typeof given === 'string' ? given : DEFAULTS.dateFormat;
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
