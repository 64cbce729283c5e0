import { rmSync } from 'node:fs';

/** What cannot be removed, as on a disk that is read-only, is left to who finds it: that must end nothing. */
export function removeQuietly(...paths: readonly string[]): void {
  for (const path of paths) {
    try {
      rmSync(path, { recursive: true, force: true });
    } catch {
      // See above.
    }
  }
}
