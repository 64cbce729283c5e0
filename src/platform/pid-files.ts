import { lstatSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { makeFolder } from '../protocol/home.ts';
import { trustedPath } from '../protocol/trusted-path.ts';
import type { PidFiles } from '../supervisor/ports.ts';

const AGAIN_MS = 5000;

/** A pid file that cannot be written must not stop an app: it is told, and tried again. */
export function pidFiles(complain: (line: string) => void): PidFiles {
  /** What is still to be written, by path. */
  const behind = new Map<string, { readonly pid: number; readonly timer: NodeJS.Timeout }>();
  const write = (path: string, pid: number): void => {
    const known = behind.get(path);
    clearTimeout(known?.timer);
    behind.delete(path);
    const problem = attempt(() => {
      const folder = trustedPath(dirname(path), null);
      makeFolder(folder);
      // Renamed, so that a link of that name is replaced, and what it leads to is not written to.
      const temporary = join(folder, `.${basename(path)}.${process.pid}`);
      rmSync(temporary, { force: true });
      writeFileSync(temporary, `${pid}\n`, { mode: 0o600, flag: 'wx' });
      renameSync(temporary, join(folder, basename(path)));
    });
    if (problem === null) return;
    if (!known) complain(`cannot write the pid file ${path}: ${problem}; it is tried again`);
    behind.set(path, { pid, timer: setTimeout(write, AGAIN_MS, path, pid) });
  };
  return {
    write,
    remove: (path, pid) => {
      const known = behind.get(path);
      if (known?.pid === pid) {
        clearTimeout(known.timer);
        behind.delete(path);
      }
      attempt(() => {
        if (!lstatSync(path).isFile()) return;
        const content = readFileSync(path, 'utf8');
        // An empty one is what a full disk has left.
        if (content === '' || Number(content) === pid) rmSync(path);
      });
    },
  };
}

/** @returns what went wrong, or null. */
function attempt(action: () => void): string | null {
  try {
    action();
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}
