import { closeSync, constants, copyFileSync, fstatSync, ftruncateSync, rmSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import type { LogSpec } from '../domain/app-spec.ts';
import type { EmptiedLogs, LogPath } from '../protocol/messages.ts';
import { openTrusted, trustedPath } from '../protocol/trusted-path.ts';
import { accessProblem } from './access.ts';
import { removeSegment, sizedSegments } from './log-keeper.ts';
import { expired, type SizedSegment } from './retention.ts';
import { LogFolders, rotatedOf, segmentsIn } from './segments.ts';
import { timesPath } from './times.ts';

/** Empties logs, and removes what was set aside of them. One that cannot be emptied does not keep the others from it. */
export function emptyLogs(logs: readonly LogPath[]): EmptiedLogs {
  const emptied: string[] = [];
  const problems = new Set<string>();
  for (const { path, appUid } of logs) {
    if (path.startsWith('/dev/')) continue;
    try {
      for (const rotated of rotatedOf(trustedPath(path, appUid))) {
        rmSync(rotated.path, { force: true });
        rmSync(timesPath(rotated.path), { force: true });
      }
      closeSync(openTrusted(path, constants.O_WRONLY | constants.O_TRUNC, appUid));
      emptied.push(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') problems.add(accessProblem('empty', path, error));
    }
  }
  return { emptied, problems: [...problems] };
}

/**
 * Removes the oldest of what was set aside until all logs together are within the smallest limit that an app has.
 * @param folder where logs are by default: those of apps that are gone count too.
 */
export async function trimLogs(folder: string, specs: readonly LogSpec[]): Promise<void> {
  const limits = specs.flatMap(({ rotation }) => rotation.maxTotalAllBytes ?? []);
  if (limits.length === 0) return;
  const found = new Map<string, SizedSegment>();
  for (const segment of await ofFolder(folder)) found.set(segment.path, segment);
  const folders = new LogFolders();
  for (const spec of specs) for (const segment of await sizedSegments(spec, folders)) found.set(segment.path, segment);
  const all = { retain: null, maxAgeMs: null, maxTotalBytes: Math.min(...limits) };
  for (const segment of expired([...found.values()], all, Date.now())) await removeSegment(segment);
}

async function ofFolder(folder: string): Promise<readonly SizedSegment[]> {
  const segments = segmentsIn(folder, await readdir(folder), (name) => name.endsWith('.log'));
  const sized = await Promise.all(
    segments.map(async (segment) => {
      const bytes = await stat(segment.path).then(
        ({ size }) => size,
        () => 0,
      );
      return { ...segment, bytes };
    }),
  );
  return sized;
}

/** Bounds a file that several processes append to, and none of them opens anew: what is in it goes to `path.1`. */
export function boundFile(fd: number, path: string, maxBytes: number): void {
  if (fstatSync(fd).size <= maxBytes) return;
  copyFileSync(path, `${path}.1`);
  ftruncateSync(fd);
}
