import { readdirSync, realpathSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import { parseRotated } from './rotation.ts';

/** One file of a log: that which is written to, or one that was set aside. */
export interface Segment {
  readonly path: string;
  /** The log that it is of. */
  readonly log: string;
  /** When it was set aside; null for the one that is written to. */
  readonly rotatedAt: number | null;
  readonly gz: boolean;
}

/** The file that is meant where a path leads through symbolic links. */
export function realLog(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

/** What was set aside of a log, the oldest first. */
export function rotatedOf(log: string): readonly Segment[] {
  const name = basename(log);
  return segmentsIn(dirname(log), namesIn(dirname(log)), (base) => base === name).filter(
    ({ rotatedAt }) => rotatedAt !== null,
  );
}

/** All files of the logs that `isLog` tells by their names; each log's the oldest first. */
export function segmentsIn(
  folder: string,
  names: readonly string[],
  isLog: (name: string) => boolean,
): readonly Segment[] {
  const there = new Set(names);
  const found = names.flatMap((name): Segment[] => {
    if (isLog(name)) return [{ path: join(folder, name), log: join(folder, name), rotatedAt: null, gz: false }];
    const rotated = parseRotated(name);
    if (!rotated || !isLog(rotated.log)) return [];
    // Just compressed, and not removed yet.
    if (rotated.gz && there.has(name.slice(0, -'.gz'.length))) return [];
    const { log, rotatedAt, gz } = rotated;
    return [{ path: join(folder, name), log: join(folder, log), rotatedAt, gz }];
  });
  return found.toSorted((a, b) => (a.rotatedAt ?? Infinity) - (b.rotatedAt ?? Infinity));
}

/** What folders hold, each read once: for one look through the logs of many apps. */
export class LogFolders {
  readonly #folders = new Map<string, Promise<ReadonlyMap<string, readonly Segment[]>>>();

  /** All files of a log and of those of its instances, which may be gone. None where the folder cannot be read. */
  async segmentsOf(log: string): Promise<readonly Segment[]> {
    const folder = dirname(log);
    const known = this.#folders.get(folder) ?? indexOf(folder);
    this.#folders.set(folder, known);
    return (await known).get(basename(log)) ?? [];
  }
}

async function indexOf(folder: string): Promise<ReadonlyMap<string, readonly Segment[]>> {
  const index = new Map<string, Segment[]>();
  const names = await readdir(folder).catch(() => []);
  for (const segment of segmentsIn(folder, names, (name) => parseRotated(name) === null)) {
    const name = basename(segment.log);
    for (const key of [name, sharedNameOf(name)]) {
      const segments = index.get(key ?? '');
      if (segments) segments.push(segment);
      else if (key !== null) index.set(key, [segment]);
    }
  }
  return index;
}

/** `api-out-3.log` is that of an instance of `api-out.log`; see domain/log-paths.ts. */
function sharedNameOf(name: string): string | null {
  const extension = extname(name);
  const [, stem] = /^(.*)-\d+$/s.exec(name.slice(0, name.length - extension.length)) ?? [];
  return stem === undefined ? null : stem + extension;
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
