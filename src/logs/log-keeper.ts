import { lstat, unlink } from 'node:fs/promises';
import type { AppSpec } from '../domain/app-spec.ts';
import { trustedPath } from '../protocol/trusted-path.ts';
import { type Compressor, gzOf, partOf } from './compressor.ts';
import { expired } from './retention.ts';
import type { LogFolders, SizedSegment } from './segments.ts';
import { timesPath } from './times.ts';

/** A file is compressed when it was set aside so long ago: until then others may still write to it, and many never live that long. */
const COMPRESS_AFTER_MS = 5000;

/** What tells where the logs of an app are, and how much of them is kept. */
export type LoggedApp = Pick<AppSpec, 'name' | 'logs' | 'uid'>;

/** Keeps the logs of one app within their limits: removes what is too much, and compresses what was set aside. */
export class LogKeeper {
  app: LoggedApp;
  readonly #compressor: Compressor;
  readonly #now: () => number;
  readonly #folders: () => LogFolders;
  #running: Promise<void> | null = null;
  #again = false;
  #timer: NodeJS.Timeout | null = null;
  #closed = false;

  /** @param folders of the logs of all apps that are known. */
  constructor(app: LoggedApp, compressor: Compressor, now: () => number, folders: () => LogFolders) {
    this.app = app;
    this.#compressor = compressor;
    this.#now = now;
    this.#folders = folders;
  }

  /** Looks through the files. @param folders as they are now. @returns when that is done; what is compressed takes longer. */
  run(folders = this.#folders()): Promise<void> {
    if (this.#closed) return Promise.resolve();
    if (this.#running) this.#again = true;
    else this.#running = this.#run(folders);
    return this.#running ?? Promise.resolve();
  }

  close(): void {
    this.#closed = true;
    if (this.#timer) clearTimeout(this.#timer);
  }

  async #run(folders: LogFolders): Promise<void> {
    const { rotation } = this.app.logs;
    const segments = await segmentsOf(this.app, folders);
    const now = this.#now();
    const removed = expired(segments, rotation, now);
    for (const segment of removed) await removeSegment(segment);
    if (rotation.compress && !this.#closed) await this.#compress(segments, removed, now);
    this.#running = null;
    if (!this.#again) return;
    this.#again = false;
    await this.run();
  }

  async #compress(segments: readonly SizedSegment[], removed: readonly SizedSegment[], now: number): Promise<void> {
    const plain = segments.filter((segment) => segment.rotatedAt !== null && !segment.gz && !removed.includes(segment));
    const waits = ({ rotatedAt }: SizedSegment): boolean => Math.abs(now - (rotatedAt ?? now)) < COMPRESS_AFTER_MS;
    for (const segment of plain) {
      if (!waits(segment) && !(await isFolder(gzOf(segment.path)))) this.#compressor.add(segment);
    }
    if (!plain.some(waits) || this.#timer || this.#closed) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      void this.run();
    }, COMPRESS_AFTER_MS + 1).unref();
  }
}

/** The logs of an app, with links resolved; none to which a link leads that is not trusted. */
export function logsOf({ logs: { out, error, combined }, uid }: LoggedApp): readonly string[] {
  const found = [out, error, combined].flatMap((path) => {
    try {
      return path === null ? [] : [trustedPath(path, uid)];
    } catch {
      // Whoever writes to it is told.
      return [];
    }
  });
  return [...new Set(found)];
}

/** Of all instances of an app, those that are gone too. */
export async function segmentsOf(app: LoggedApp, folders: LogFolders): Promise<readonly SizedSegment[]> {
  const found = new Map<string, SizedSegment>();
  for (const log of logsOf(app)) for (const segment of await folders.segmentsOf(log)) found.set(segment.path, segment);
  return [...found.values()];
}

/** One that cannot be removed keeps no others from it. */
export async function removeSegment({ path }: SizedSegment): Promise<void> {
  // The last one was left by a gzip whose supervisor was killed.
  for (const each of [path, timesPath(path), partOf(path)]) await unlink(each).catch(() => {});
}

/** A file cannot be put in place of it. */
async function isFolder(path: string): Promise<boolean> {
  const stat = await lstat(path).catch(() => null);
  return stat?.isDirectory() ?? false;
}
