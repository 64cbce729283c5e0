import * as v from 'valibot';
import type { FromApp } from './ipc.ts';

const text = v.pipe(
  v.string(),
  v.transform((value) => value.slice(0, 1000)),
);

const fromApp: v.GenericSchema<unknown, FromApp> = v.variant('kind', [
  v.object({ kind: v.literal('main-ran') }),
  v.object({ kind: v.literal('stopped-listening') }),
  v.object({ kind: v.literal('want-signal') }),
  v.object({ kind: v.literal('listening'), address: text }),
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
