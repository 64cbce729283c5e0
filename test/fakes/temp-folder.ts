import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A folder of its own for one test, removed at its end. */
export function tempFolder(t: { readonly after: (remove: () => void) => void }): string {
  const folder = mkdtempSync(join(realpathSync(tmpdir()), 'upkeep-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
