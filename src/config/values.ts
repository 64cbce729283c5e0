import { Cron } from 'croner';
import * as v from 'valibot';
import { nameProblem } from '../domain/app-name.ts';
import { signalName } from '../domain/signal-name.ts';

/** The kinds of values that options take, each from the forms that pm2's ecosystem files allow. */

/** What timers can hold. */
const LONGEST_MS = 2 ** 31 - 1;

/** More than a path or a command line has; to cut a longer one into words could take seconds. */
const LONGEST_LINE = 16_384;
const WORDS = `expected a list of texts, or a text of at most ${LONGEST_LINE} characters`;

export const text: v.GenericSchema<unknown, string> = v.pipe(
  v.string('expected a text'),
  v.nonEmpty('must not be empty'),
  v.maxLength(LONGEST_LINE, `expected at most ${LONGEST_LINE} characters`),
  v.check(hasNoZero, 'must not hold a zero byte'),
);

export const textOrNumber: v.GenericSchema<unknown, string> = v.pipe(
  v.union([v.string(), v.number()], 'expected a text or a number'),
  v.transform(String),
);

export const flag: v.GenericSchema<unknown, boolean> = v.pipe(
  v.union([v.boolean(), v.picklist(['true', 'false'])], 'expected true or false'),
  v.transform((value) => value === true || value === 'true'),
);

/** Which processes of an app a stop signals. */
export const treekill: v.GenericSchema<unknown, boolean | 'main-first'> = v.union(
  [v.literal('main-first'), flag],
  "expected true, false or 'main-first'",
);

export const count: v.GenericSchema<unknown, number> = v.pipe(
  v.union([v.number(), v.pipe(v.string(), v.regex(/^\d+$/), v.transform(Number))], 'expected a whole number'),
  v.integer('expected a whole number'),
  v.minValue(0, 'must not be negative'),
);

const UNITS_MS: Readonly<Record<string, number>> = { '': 1, ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

export const name: v.GenericSchema<unknown, string> = v.pipe(
  textOrNumber,
  v.check(
    (given) => nameProblem(given) === null,
    ({ input }) => nameProblem(input) ?? '',
  ),
);

function hasNoZero(given: string): boolean {
  return !given.includes('\0');
}

/** Of a variable. */
export const variable: v.GenericSchema<unknown, string> = v.pipe(
  v.string('expected the name of a variable'),
  v.regex(/^[^=\0]+$/, 'expected the name of a variable'),
);

export const signal: v.GenericSchema<unknown, string> = v.pipe(
  textOrNumber,
  v.transform(signalName),
  v.string('expected the name of a signal, such as SIGTERM'),
);

const milliseconds = (expected: string): v.GenericSchema<unknown, number> =>
  v.union(
    [
      count,
      v.pipe(
        v.string(),
        v.regex(/^\d+(\.\d+)?(ms|s|m|h|d)$/),
        v.transform((value) => Math.round(Number.parseFloat(value) * (UNITS_MS[value.replace(/^[\d.]+/, '')] ?? 1))),
      ),
    ],
    expected,
  );

/** Of a timer: milliseconds, or a text such as `500ms`, `30s`, `10m`, `1h` or `7d`. */
export const duration: v.GenericSchema<unknown, number> = v.pipe(
  milliseconds('expected milliseconds, or a text such as 500ms, 30s or 10m'),
  v.maxValue(LONGEST_MS, 'expected at most 24 days'),
);

const LOG_AGE_EXPECTED =
  'expected a minute or more, such as 12h or 30d (a number alone is milliseconds), or 0 for no limit';

/** The same, of any length. What was meant as days, and would remove logs at once, is refused. */
export const logAge: v.GenericSchema<unknown, number> = v.pipe(
  milliseconds(LOG_AGE_EXPECTED),
  v.maxValue(Number.MAX_SAFE_INTEGER, 'expected less time'),
  v.check((ms) => ms === 0 || ms >= 60_000, LOG_AGE_EXPECTED),
);

const BYTES: Readonly<Record<string, number>> = { '': 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 };

/** Bytes, or a text such as `300M` or `1.5G`. */
export const size: v.GenericSchema<unknown, number> = v.pipe(
  v.union(
    [
      count,
      v.pipe(
        v.string(),
        v.regex(/^\d+(\.\d+)?[kmg]b?$/i),
        v.transform((text) =>
          Math.round(Number.parseFloat(text) * (BYTES[/[kmg]/i.exec(text)?.[0].toLowerCase() ?? ''] ?? 1)),
        ),
      ),
    ],
    'expected bytes, or a text such as 300M or 1G',
  ),
  v.maxValue(Number.MAX_SAFE_INTEGER, 'expected fewer bytes'),
);

/** What was meant as megabytes, and would set a log aside at each line, is refused. */
export const logSize: v.GenericSchema<unknown, number> = v.pipe(
  size,
  v.check(
    (bytes) => bytes === 0 || bytes >= 1024,
    'expected 1k or more, such as 20M (a number alone is bytes), or 0 for no limit',
  ),
);

export const dateFormat: v.GenericSchema<unknown, string> = v.pipe(
  text,
  v.maxLength(200, 'expected at most 200 characters'),
  v.check((format) => !format.includes('\n'), 'must be one line'),
);

const SYSLOG_EXPECTED = 'expected true, udp://host:port or tcp://host:port';

/** null for false; `local` for true; else where a syslog server is. */
export const syslog: v.GenericSchema<unknown, string | null> = v.union(
  [
    v.pipe(
      flag,
      v.transform((on) => (on ? 'local' : null)),
    ),
    v.pipe(v.string(), v.regex(/^(local|(udp|tcp):\/\/(\[[\da-f:]+\]|[^\s:/[\]]+)(:\d{1,5})?)$/i, SYSLOG_EXPECTED)),
  ],
  SYSLOG_EXPECTED,
);

const CRON_EXPECTED = 'expected a cron pattern of five or six fields, such as "0 4 * * *", or 0 for never';

/** null, as 0 or false gives, for never. */
export const cron: v.GenericSchema<unknown, string | null> = v.union(
  [
    v.pipe(
      v.union([v.literal(0), v.literal(false), v.picklist(['0', 'false'])]),
      v.transform(() => null),
    ),
    v.pipe(text, v.check(isCron, CRON_EXPECTED)),
  ],
  CRON_EXPECTED,
);

function isCron(pattern: string): boolean {
  try {
    return new Cron(pattern, { paused: true }).nextRun() !== null;
  } catch {
    return false;
  }
}

const port = v.pipe(count, v.minValue(1, 'expected a port'), v.maxValue(65_535, 'expected a port'));
const asked = {
  http: v.optional(v.pipe(text, v.startsWith('/', 'expected a path, such as /healthz'))),
  tcp: v.optional(v.union([v.literal(true), port], 'expected a port, or true for the first one it listens on')),
  command: v.optional(text),
  port: v.optional(port),
  tls: v.optional(flag),
  interval: v.optional(duration),
  timeout: v.optional(duration),
};
const pattern = v.pipe(
  text,
  v.check((given) => isPattern(given), 'expected a regular expression'),
);

/** @param otherwise what is told where it is no key that is wrong. */
function keysOr(otherwise: string): (issue: { readonly expected: string | null; readonly input: unknown }) => string {
  return ({ expected, input }) => (expected === 'never' ? `there is no "${String(input)}" in it` : otherwise);
}

/** When an instance is ready: exactly one of http, tcp, command, fd and log. */
export const readiness = v.pipe(
  v.strictObject(
    {
      ...asked,
      fd: v.optional(v.pipe(count, v.minValue(3, 'expected a descriptor from 3 on'), v.maxValue(255))),
      log: v.optional(pattern),
      deadline: v.optional(duration),
    },
    keysOr('expected an object such as { http: "/ready" }'),
  ),
  v.check(
    ({ http, tcp, command, fd, log }) => [http, tcp, command, fd, log].filter((way) => way !== undefined).length === 1,
    'expected exactly one of http, tcp, command, fd and log',
  ),
);

/** How an instance that is online is watched: at most one of http, tcp and command, and event_loop. */
export const liveness = v.pipe(
  v.strictObject(
    {
      ...asked,
      failures: v.optional(v.pipe(count, v.minValue(1, 'expected 1 or more'))),
      event_loop: v.optional(duration),
    },
    keysOr('expected an object such as { http: "/healthz" }'),
  ),
  v.check(
    ({ http, tcp, command, event_loop: loop }) =>
      [http, tcp, command].filter((way) => way !== undefined).length === (loop === undefined ? 1 : 0) ||
      (loop !== undefined && [http, tcp, command].filter((way) => way !== undefined).length <= 1),
    'expected one of http, tcp and command, or event_loop, or both',
  ),
);

function isPattern(given: string): boolean {
  try {
    return Boolean(new RegExp(given));
  } catch {
    return false;
  }
}

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
export const words: v.GenericSchema<unknown, string[]> = v.pipe(
  v.union(
    [
      v.pipe(
        v.array(v.union([v.string(), v.number()])),
        v.transform((list) => list.map(String)),
      ),
      v.pipe(v.string(), v.maxLength(LONGEST_LINE, WORDS), v.transform(splitWords)),
    ],
    WORDS,
  ),
  v.check((list) => list.every(hasNoZero), 'must not hold a zero byte'),
);

export const codes: v.GenericSchema<unknown, number[]> = v.pipe(
  v.union(
    [
      v.array(count),
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
  v.check((list) => list.every((code) => code <= 255), 'expected exit codes of at most 255'),
);

const envValue = v.union(
  [
    v.pipe(v.string(), v.check(hasNoZero, 'must not hold a zero byte')),
    v.number(),
    v.boolean(),
    v.null(),
    v.undefined(),
  ],
  'expected a text, number or boolean',
);

const envLike = v.union([envValue, v.array(v.unknown()), v.looseObject({})]);

/** Variables; objects become JSON, null and undefined are left out. */
export const env: v.GenericSchema<unknown, Record<string, string>> = v.pipe(
  v.custom<object>((given) => !Array.isArray(given), 'expected an object of variables, not a list'),
  v.custom<object>((given) => typeof given === 'object' && given !== null, 'expected an object of variables'),
  // Not by v.record, which leaves out some names, as `constructor`.
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed) return;
    for (const [key, value] of Object.entries(dataset.value)) {
      const { issues: [issue] = [] } = v.safeParse(envLike, value);
      const place = { type: 'object', origin: 'value', input: {}, key, value } as const;
      if (issue) addIssue({ message: issue.message, path: [place] });
    }
  }),
  v.check(
    (values) => Object.keys(values).every((key) => v.is(variable, key)),
    'the name of a variable must not be empty, nor hold = or a zero byte',
  ),
  v.transform((values) => {
    const kept = Object.entries(values as Record<string, v.InferOutput<typeof envLike>>).flatMap(([name, value]) => {
      if (value === null || value === undefined) return [];
      return [[name, typeof value === 'object' ? JSON.stringify(value) : String(value)] as const];
    });
    return Object.fromEntries(kept);
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
