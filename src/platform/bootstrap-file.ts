import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, realpathSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { away } from '../domain/shortage.ts';
import type { ProcessEvent } from '../supervisor/ports.ts';
import type { User } from './as-user.ts';

/** @returns the path of the bootstrap for an app of that user. @throws Shortage. */
export type BootstrapFile = (user: User) => string;

/** Begins the name of a copy. */
const COPY = 'bootstrap-';

/**
 * A copy in the home, named after its content: apps start, and find the bootstrap that belongs to their supervisor, also
 * while the folder of upkeep is away or another version is in it (docs/adr/0016).
 * @param packaged that of this version, where nothing has taken its place yet.
 * @param folder open to this user only: apps of others load the packaged one, as do all where nothing can be written.
 */
export function bootstrapFile(packaged: string, folder: string): BootstrapFile {
  const text = readFileSync(packaged);
  const name = `${COPY}${createHash('sha256').update(text).digest('hex').slice(0, 16)}.cjs`;
  const copied = (): string | null => {
    try {
      // Node.js tells it so, and thus knows it again.
      const path = join(realpathSync(folder), name);
      if (sizeOf(path) === text.length) return path;
      const temporary = `${path}.${process.pid}`;
      writeFileSync(temporary, text, { mode: 0o600 });
      renameSync(temporary, path);
      return path;
    } catch {
      return null;
    }
  };
  return ({ uid, gid }) => {
    const own = uid === null && gid === null ? copied() : null;
    if (own !== null) return own;
    if (sizeOf(packaged) === null) throw away(packaged);
    return packaged;
  };
}

/** Removes all copies, when no app that loads one can be left. */
export function forgetBootstraps(folder: string): void {
  for (const entry of readdirSync(folder)) if (entry.startsWith(COPY)) rmSync(join(folder, entry), { force: true });
}

/** One that has ended before it could load the bootstrap tells nothing of the app. */
export function unlessAway(bootstrap: string, on: (event: ProcessEvent) => void): (event: ProcessEvent) => void {
  let began = false;
  return (event) => {
    if (event.kind === 'exited' && event.exit.code === 1 && !began && sizeOf(bootstrap) === null) {
      return on({ kind: 'spawn-failed', reason: away(bootstrap).message, short: true });
    }
    began ||= event.kind !== 'spawned';
    on(event);
  };
}

function sizeOf(path: string): number | null {
  return statSync(path, { throwIfNoEntry: false })?.size ?? null;
}
