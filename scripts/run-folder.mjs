// A run of tests or of a benchmark has a temporary folder of its own, and what it starts lives below: homes, apps, files.
// However the run ends, killed too, its guard (run-folder-guard.mjs) ends what still belongs there and removes it.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, realpathSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * Makes the folder, which is `TMPDIR` of this process and of its children from here on.
 * @returns what ends the run: nothing of it is left then.
 */
export function openRunFolder() {
  const folder = mkdtempSync(join(realpathSync(tmpdir()), 'uk-'));
  // Apps of other users run in it, too.
  chmodSync(folder, 0o755);
  process.env.TMPDIR = folder;
  // In a session of its own, as Ctrl-C is for all processes of a terminal. It sees the pipe's end when this process is gone.
  const guard = spawn(process.execPath, [join(import.meta.dirname, 'run-folder-guard.mjs'), folder], {
    detached: true,
    stdio: ['pipe', 'inherit', 'inherit'],
  });
  guard.unref();
  guard.stdin.unref();
  return async () => {
    guard.ref();
    guard.stdin.end();
    if (guard.exitCode === null) await once(guard, 'exit');
  };
}
