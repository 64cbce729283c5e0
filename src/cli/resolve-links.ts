import { realpathSync } from 'node:fs';

/** Where a path leads, all symbolic links resolved; null where it leads nowhere. */
export function resolveLinks(path: string): string | null {
  try {
    return realpathSync(path);
  } catch {
    return null;
  }
}
