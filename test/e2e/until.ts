import { setTimeout as sleep } from 'node:timers/promises';

const POLL_MS = 25;
const LIMIT_MS = 20_000;

/**
 * Polls until the probe gives something, for states that send no event to a test.
 * @throws Error that says what was waited for, and what was there instead.
 */
export async function until<T>(
  probe: () => T | Promise<T>,
  what: string,
  instead: () => unknown = () => '',
): Promise<Exclude<T, null | undefined | false | 0 | ''>> {
  const deadline = Date.now() + LIMIT_MS;
  while (Date.now() < deadline) {
    const value = await probe();
    if (value) return value as Exclude<T, null | undefined | false | 0 | ''>;
    await sleep(POLL_MS);
  }
  throw new Error(`waited ${LIMIT_MS} ms for: ${what}\n${String(await instead())}`);
}
