import { constants } from 'node:os';

/** @returns `SIGTERM` for `SIGTERM`, `term` or `15`; null when the system has no such signal. */
export function signalName(given: string): string | null {
  const upper = given.toUpperCase();
  const name = upper.startsWith('SIG') ? upper : `SIG${upper}`;
  if (Object.hasOwn(constants.signals, name)) return name;
  return Object.entries(constants.signals).find(([, number]) => String(number) === given)?.[0] ?? null;
}
