import { lstatSync, readdirSync, type Stats } from 'node:fs';
import { lstat, opendir } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import { bytesOnDisk, ownFilesOf } from './own-files.ts';
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

export interface SizedSegment extends Segment {
  readonly bytes: number;
  /** When it was last written to. */
  readonly changedAt: number;
}

/** What was set aside of a log, the oldest first: nothing that others have put there. */
export function rotatedOf(log: string): readonly Segment[] {
  const [folder, name] = [dirname(log), basename(log)];
  const isOwn = ownFilesOf(log);
  const found = namesIn(folder)
    .filter((entry) => entry.startsWith(`${name}.`))
    .map((entry) => segmentOf(folder, entry))
    .filter((segment) => segment.log === log && segment.rotatedAt !== null && isOwnAt(segment.path, isOwn));
  return inOrder(found);
}

/** The files of some logs, each folder read once: for one look through the logs of many apps. */
export class LogFolders {
  readonly #logs: ReadonlySet<string>;
  readonly #folders = new Map<string, Promise<ReadonlyMap<string, readonly SizedSegment[]>>>();

  /** @param logs that may be asked for: a folder may hold very many other files. */
  constructor(logs: Iterable<string>) {
    this.#logs = new Set(logs);
  }

  /** All files of a log and of those of its instances, which may be gone. None where the folder cannot be read. */
  async segmentsOf(log: string): Promise<readonly SizedSegment[]> {
    const folder = dirname(log);
    const known = this.#folders.get(folder) ?? indexOf(folder, (each) => this.#keysOf(each));
    this.#folders.set(folder, known);
    return (await known).get(log) ?? [];
  }

  #keysOf({ log }: Segment): readonly string[] {
    // Another app's, where it is known as such.
    if (this.#logs.has(log)) return [log];
    const shared = sharedPathOf(log);
    return shared !== null && this.#logs.has(shared) ? [shared] : [];
  }
}

/** All logs of a folder that end in `.log`, with what was set aside of them. */
export async function logsIn(folder: string): Promise<readonly SizedSegment[]> {
  const all = await indexOf(folder, ({ log }) => (log.endsWith('.log') ? [''] : []));
  return all.get('') ?? [];
}

/**
 * @param keysOf by what a file is found.
 * @returns what is found by each key, a log's oldest first.
 */
async function indexOf(
  folder: string,
  keysOf: (segment: Segment) => readonly string[],
): Promise<ReadonlyMap<string, readonly SizedSegment[]>> {
  const index = new Map<string, SizedSegment[]>();
  const owners = new Map<string, (stat: Stats) => boolean>();
  try {
    for await (const { name } of await opendir(folder, { bufferSize: 256 })) {
      const segment = segmentOf(folder, name);
      const keys = keysOf(segment);
      if (keys.length === 0) continue;
      const stat = await lstat(segment.path).catch(() => null);
      const isOwn = owners.get(segment.log) ?? ownFilesOf(segment.log);
      owners.set(segment.log, isOwn);
      if (stat === null || !isOwn(stat)) continue;
      const sized = { ...segment, bytes: bytesOnDisk(stat), changedAt: stat.mtimeMs };
      for (const key of keys) {
        const segments = index.get(key);
        if (segments) segments.push(sized);
        else index.set(key, [sized]);
      }
    }
  } catch {
    // What cannot be read holds nothing that could be removed.
  }
  for (const [key, segments] of index) index.set(key, inOrder(segments));
  return index;
}

function segmentOf(folder: string, name: string): Segment {
  const { log, rotatedAt, gz } = parseRotated(name) ?? { log: name, rotatedAt: null, gz: false };
  return { path: join(folder, name), log: join(folder, log), rotatedAt, gz };
}

function inOrder<Each extends Segment>(segments: readonly Each[]): Each[] {
  const there = new Set(segments.map(({ path }) => path));
  return (
    segments
      // Just compressed, and not removed yet.
      .filter(({ path, gz }) => !gz || !there.has(path.slice(0, -'.gz'.length)))
      .toSorted((a, b) => (a.rotatedAt ?? Infinity) - (b.rotatedAt ?? Infinity))
  );
}

/** `api-out-3.log` is that of an instance of `api-out.log`; see domain/log-paths.ts. */
function sharedPathOf(log: string): string | null {
  const extension = extname(log);
  const [, stem] = /^(.*)-\d+$/s.exec(log.slice(0, log.length - extension.length)) ?? [];
  return stem === undefined ? null : stem + extension;
}

function isOwnAt(path: string, isOwn: (stat: Stats) => boolean): boolean {
  try {
    return isOwn(lstatSync(path));
  } catch {
    return false;
  }
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
