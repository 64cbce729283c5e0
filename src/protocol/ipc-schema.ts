import * as v from 'valibot';
import type { FromApp } from './ipc.ts';

const text = v.pipe(
  v.string(),
  v.transform((value) => value.slice(0, 1000)),
);

const count = v.pipe(v.number(), v.integer(), v.minValue(0));

const query = {
  address: v.nullable(v.pipe(v.string(), v.maxLength(1000))),
  port: v.pipe(v.number(), v.integer(), v.minValue(-1), v.maxValue(65_535)),
  addressType: v.picklist([4, 6, -1]),
  flags: count,
  backlog: count,
  index: count,
};

const moves = v.optional(v.nullable(v.picklist(['fresh', 'idle'])), null);

const fromApp: v.GenericSchema<unknown, FromApp> = v.variant('kind', [
  v.object({ kind: v.literal('main-ran') }),
  v.object({ kind: v.literal('settled') }),
  v.object({ kind: v.literal('stopped-listening') }),
  v.object({ kind: v.literal('only-streams') }),
  v.object({ kind: v.literal('drained') }),
  v.object({ kind: v.literal('pong') }),
  v.object({ kind: v.literal('answered'), status: count }),
  v.object({ kind: v.literal('attach'), token: text }),
  v.object({ kind: v.literal('exiting'), code: v.pipe(v.number(), v.integer()) }),
  v.object({ kind: v.literal('no-more-sockets') }),
  v.object({ kind: v.literal('open-socket'), request: count, ...query }),
  v.object({
    kind: v.literal('have-socket'),
    socket: text,
    open: count,
    accepts: v.optional(v.boolean(), false),
    ...query,
  }),
  v.object({ kind: v.literal('close-socket'), socket: text }),
  v.object({ kind: v.literal('ticket-keys'), keys: v.pipe(v.string(), v.regex(/^[\w+/]{64}$/)) }),
  v.object({ kind: v.literal('load'), socket: text, open: count }),
  v.object({ kind: v.literal('pass-on'), socket: text, open: count, pass: count, moves }),
  v.object({ kind: v.literal('ask-after'), pass: count }),
  v.object({ kind: v.picklist(['claim', 'took', 'declined']), connection: count }),
  v.object({ kind: v.literal('want-signal') }),
  v.object({ kind: v.literal('listening'), address: text, anyPort: v.optional(v.boolean()) }),
  v.object({ kind: v.literal('closed'), address: text }),
  v.object({
    kind: v.literal('uncaught'),
    error: v.object({
      message: text,
      code: v.nullable(text),
      syscall: v.nullable(text),
      address: v.nullable(text),
      port: v.nullable(v.number()),
    }),
  }),
]);

/** What an app sends is not trusted. @returns null for anything but the known shapes. */
export function parseFromApp(body: unknown): FromApp | null {
  const result = v.safeParse(fromApp, body);
  return result.success ? result.output : null;
}
