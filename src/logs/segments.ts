import { readdirSync, realpathSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
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

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
