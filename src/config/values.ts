import * as v from 'valibot';
import { signalName } from '../domain/signal-name.ts';

/** The kinds of values that options take, each from the forms that pm2's ecosystem files allow. */

export const text: v.GenericSchema<unknown, string> = v.pipe(
  v.string('expected a text'),
  v.nonEmpty('must not be empty'),
);

export const textOrNumber: v.GenericSchema<unknown, string> = v.pipe(
  v.union([v.string(), v.number()], 'expected a text or a number'),
  v.transform(String),
);

export const flag: v.GenericSchema<unknown, boolean> = v.pipe(
  v.union([v.boolean(), v.picklist(['true', 'false'])], 'expected true or false'),
  v.transform((value) => value === true || value === 'true'),
);

export const count: v.GenericSchema<unknown, number> = v.pipe(
  v.union([v.number(), v.pipe(v.string(), v.regex(/^\d+$/), v.transform(Number))], 'expected a whole number'),
  v.integer('expected a whole number'),
  v.minValue(0, 'must not be negative'),
);

const UNITS_MS: Readonly<Record<string, number>> = { '': 1, ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

export const name: v.GenericSchema<unknown, string> = v.pipe(
  textOrNumber,
  v.nonEmpty('must not be empty'),
  v.maxLength(200, 'expected at most 200 characters'),
  // What a selector or a terminal would take for something else.
  v.check(
    (text) => !/^(all|-.*|\/.*\/[a-z]*)$|\p{Cc}/u.test(text),
    'must not be all, /…/, begin with - or hold control characters',
  ),
);

export const signal: v.GenericSchema<unknown, string> = v.pipe(
  textOrNumber,
  v.transform(signalName),
  v.string('expected the name of a signal, such as SIGTERM'),
);

/** Milliseconds, or a text such as `500ms`, `30s`, `10m` or `1h`. */
export const duration: v.GenericSchema<unknown, number> = v.union(
  [
    count,
    v.pipe(
      v.string(),
      v.regex(/^\d+(\.\d+)?(ms|s|m|h)$/),
      v.transform((value) => Math.round(Number.parseFloat(value) * (UNITS_MS[value.replace(/^[\d.]+/, '')] ?? 1))),
    ),
  ],
  'expected milliseconds, or a text such as 500ms, 30s or 10m',
);

/** `max`, or an integer that may be negative. */
export const instances: v.GenericSchema<unknown, number | 'max'> = v.union(
  [
    v.literal('max'),
    v.pipe(v.number(), v.integer('expected a whole number or "max"')),
    v.pipe(v.string(), v.regex(/^-?\d+$/), v.transform(Number)),
  ],
  'expected a whole number or "max"',
);

/** A list, or one text cut at white space where it is not quoted. */
export const words: v.GenericSchema<unknown, string[]> = v.union(
  [
    v.pipe(
      v.array(v.union([v.string(), v.number()])),
      v.transform((list) => list.map(String)),
    ),
    v.pipe(v.string(), v.transform(splitWords)),
  ],
  'expected a text or a list of texts',
);

export const codes: v.GenericSchema<unknown, number[]> = v.pipe(
  v.union(
    [
      v.pipe(v.array(count)),
      v.pipe(
        count,
        v.transform((code) => [code]),
      ),
      v.pipe(
        v.string(),
        v.regex(/^\d+([\s,]+\d+)*$/),
        v.transform((list) => list.split(/[\s,]+/).map(Number)),
      ),
    ],
    'expected exit codes, such as [0, 2]',
  ),
);

const envValue = v.union(
  [v.string(), v.number(), v.boolean(), v.null(), v.undefined()],
  'expected a text, number or boolean',
);

/** Variables; objects become JSON, null and undefined are left out. */
export const env: v.GenericSchema<unknown, Record<string, string>> = v.pipe(
  v.record(v.string(), v.union([envValue, v.array(v.unknown()), v.looseObject({})]), 'expected an object of variables'),
  v.transform((values) => {
    const kept: Record<string, string> = {};
    for (const [name, value] of Object.entries(values)) {
      if (value === null || value === undefined) continue;
      kept[name] = typeof value === 'object' ? JSON.stringify(value) : String(value);
    }
    return kept;
  }),
);

/** Cuts a command line into words; '...' and "..." keep white space, a backslash the next character. */
function splitWords(line: string): string[] {
  const found: string[] = [];
  const pattern = /(?:[^\s"'\\]|\\.|"(?:[^"\\]|\\.)*"|'[^']*')+/g;
  for (const [word] of line.matchAll(pattern)) {
    found.push(
      word.replace(/"((?:[^"\\]|\\.)*)"|'([^']*)'|\\(.)/g, (_all, double, single, escaped) =>
        double !== undefined ? double.replace(/\\(["\\$`])/g, '$1') : (single ?? escaped),
      ),
    );
  }
  return found;
}
