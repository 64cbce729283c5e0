import { closeSync, constants, copyFileSync, fstatSync, ftruncateSync, statSync, unlinkSync } from 'node:fs';
import { basename } from 'node:path';
import type { EmptiedLogs, LogPath } from '../protocol/messages.ts';
import { openTrusted, trustedPath } from '../protocol/trusted-path.ts';
import { accessProblem } from './access.ts';
import { type LoggedApp, logsOf, removeSegment, segmentsOf } from './log-keeper.ts';
import { expired, fairShare } from './retention.ts';
import { LogFolders, logsIn, rotatedOf, type SizedSegment } from './segments.ts';
import { timesPath } from './times.ts';

/** Empties logs, and removes what was set aside of them. One that cannot be emptied does not keep the others from it. */
export function emptyLogs(logs: readonly LogPath[]): EmptiedLogs {
  const emptied: string[] = [];
  const problems = new Set<string>();
  for (const { path, appUid } of logs) {
    if (path.startsWith('/dev/')) continue;
    try {
      const real = trustedPath(path, appUid);
      const stat = statSync(real);
      // In a pipe or a device nothing is kept.
      if (!stat.isFile() && !stat.isDirectory()) continue;
      emptyLog(real, appUid);
      emptied.push(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') problems.add(accessProblem('empty', path, error));
    }
  }
  return { emptied, problems: [...problems] };
}

function emptyLog(path: string, appUid: number | null): void {
  // Not by O_TRUNC: what is not trusted would be empty before that is known.
  const fd = openTrusted(path, constants.O_WRONLY, appUid);
  try {
    for (const rotated of rotatedOf(path)) for (const each of [rotated.path, timesPath(rotated.path)]) remove(each);
    ftruncateSync(fd);
  } finally {
    closeSync(fd);
  }
}

function remove(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT' && code !== 'EISDIR') throw error;
  }
}

/**
 * Removes of what was set aside until all logs together are within the smallest limit that an app has: the oldest of
 * the apps that hold most.
 * @param folder where logs are by default: those of apps that are gone count too.
 */
export async function trimLogs(folder: string, apps: readonly LoggedApp[]): Promise<void> {
  const limits = apps.flatMap(({ logs }) => logs.rotation.maxTotalAllBytes ?? []);
  if (limits.length === 0) return;
  const held = await heldByApp(folder, apps);
  const sizes = held.map((segments) => segments.reduce((sum, { bytes }) => sum + bytes, 0));
  const each = { retain: null, maxAgeMs: null, maxTotalBytes: fairShare(sizes, Math.min(...limits)) };
  const now = Date.now();
  for (const segments of held) for (const segment of expired(segments, each, now)) await removeSegment(segment);
}

/** What each app has, also one that is gone; no file twice. */
async function heldByApp(folder: string, apps: readonly LoggedApp[]): Promise<readonly SizedSegment[][]> {
  const seen = new Set<string>();
  const held = new Map<string, SizedSegment[]>();
  const add = (key: string, segment: SizedSegment): void => {
    if (seen.has(segment.path)) return;
    seen.add(segment.path);
    const segments = held.get(key);
    if (segments) segments.push(segment);
    else held.set(key, [segment]);
  };
  const folders = new LogFolders(apps.flatMap(logsOf));
  for (const app of apps) for (const segment of await segmentsOf(app, folders)) add(`app ${app.name}`, segment);
  for (const segment of await logsIn(folder)) add(`gone ${goneAppOf(segment)}`, segment);
  return [...held.values()];
}

function goneAppOf({ log }: SizedSegment): string {
  return basename(log).replace(/-(?:out|error)(?:-\d+)?\.log$/, '');
}

/** Bounds a file that several processes append to, and none of them opens anew: what is in it goes to `path.1`. */
export function boundFile(fd: number, path: string, maxBytes: number): void {
  if (fstatSync(fd).size <= maxBytes) return;
  copyFileSync(path, `${path}.1`);
  ftruncateSync(fd);
}
