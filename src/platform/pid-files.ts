import { lstatSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { makeFolder } from '../protocol/home.ts';
import { trustedPath } from '../protocol/trusted-path.ts';
import type { PidFiles } from '../supervisor/ports.ts';

export const pidFiles: PidFiles = {
  write: (path, pid) =>
    quietly(() => {
      const folder = trustedPath(dirname(path), null);
      makeFolder(folder);
      // Renamed, so that a link of that name is replaced, and what it leads to is not written to.
      const temporary = join(folder, `.${basename(path)}.${process.pid}`);
      rmSync(temporary, { force: true });
      writeFileSync(temporary, `${pid}\n`, { mode: 0o600, flag: 'wx' });
      renameSync(temporary, join(folder, basename(path)));
    }),
  remove: (path, pid) =>
    quietly(() => {
      if (lstatSync(path).isFile() && Number(readFileSync(path, 'utf8')) === pid) rmSync(path);
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
