import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { PidFiles } from '../supervisor/ports.ts';

export const pidFiles: PidFiles = {
  write: (path, pid) =>
    quietly(() => {
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
      writeFileSync(path, `${pid}\n`, { mode: 0o600 });
    }),
  remove: (path, pid) =>
    quietly(() => {
      if (Number(readFileSync(path, 'utf8')) === pid) rmSync(path);
    }),
};

/** A pid file that cannot be written or is gone already must not stop an app. */
function quietly(action: () => void): void {
  try {
    action();
  } catch {
    // See above.
  }
}
