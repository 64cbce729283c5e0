/** The public API: a typed client of the daemon. Errors are UpkeepErrors, told apart by their `code`. */
import { fileURLToPath } from 'node:url';
import type { Client } from './client/client.ts';
import { connectOrStart } from './client/client.ts';
import { resolveHome } from './protocol/home.ts';

export type { Client } from './client/client.ts';
export type { AppSpec } from './domain/app-spec.ts';
export { type ErrorCode, UpkeepError } from './protocol/errors.ts';
export type * from './protocol/messages.ts';

/**
 * Connects to the daemon, and starts one where none runs.
 * @param home where it keeps its state; by default `UPKEEP_HOME`, else `~/.upkeep`.
 */
export function connect(home?: string): Promise<Client> {
  const env = home === undefined ? process.env : { UPKEEP_HOME: home };
  return connectOrStart(resolveHome(env), fileURLToPath(new URL('./daemon.cjs', import.meta.url)));
}
