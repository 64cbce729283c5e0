import { rm, stat } from 'node:fs/promises';
import type { LogSpec } from '../domain/app-spec.ts';
import { type Compressor, partOf } from './compressor.ts';
import { expired, type SizedSegment } from './retention.ts';
import { LogFolders, realLog } from './segments.ts';
import { timesPath } from './times.ts';

/** A file is compressed when it was set aside so long ago: until then others may still write to it, and many never live that long. */
const COMPRESS_AFTER_MS = 5000;

/** Keeps the logs of one app within their limits: removes what is too much, and compresses what was set aside. */
export class LogKeeper {
  spec: LogSpec;
  readonly #compressor: Compressor;
  readonly #now: () => number;
  #running = false;
  #again = false;
  #timer: NodeJS.Timeout | null = null;
  #closed = false;

  constructor(spec: LogSpec, compressor: Compressor, now: () => number) {
    this.spec = spec;
    this.#compressor = compressor;
    this.#now = now;
  }

  /** Looks through the files soon. @param folders as they are now. */
  run(folders = new LogFolders()): void {
    if (this.#running) this.#again = true;
    else if (!this.#closed) void this.#run(folders);
  }

  close(): void {
    this.#closed = true;
    if (this.#timer) clearTimeout(this.#timer);
  }

  async #run(folders: LogFolders): Promise<void> {
    this.#running = true;
    try {
      const segments = await sizedSegments(this.spec, folders);
      const now = this.#now();
      const removed = expired(segments, this.spec.rotation, now);
      for (const segment of removed) await removeSegment(segment);
      if (this.spec.rotation.compress && !this.#closed) this.#compress(segments, removed, now);
    } catch {
      // A folder that cannot be read holds nothing that could be removed.
    }
    this.#running = false;
    if (!this.#again) return;
    this.#again = false;
    this.run();
  }

  #compress(segments: readonly SizedSegment[], removed: readonly SizedSegment[], now: number): void {
    const plain = segments.filter((segment) => segment.rotatedAt !== null && !segment.gz && !removed.includes(segment));
    const waits = ({ rotatedAt }: SizedSegment): boolean => Math.abs(now - (rotatedAt ?? now)) < COMPRESS_AFTER_MS;
    for (const segment of plain) if (!waits(segment)) this.#compressor.add(segment.path);
    if (!plain.some(waits) || this.#timer) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.run();
    }, COMPRESS_AFTER_MS + 1).unref();
  }
}

/** Of all instances of an app, those that are gone too. */
export async function sizedSegments(
  { out, error, combined }: LogSpec,
  folders = new LogFolders(),
): Promise<readonly SizedSegment[]> {
  const logs = [...new Set([out, error, combined].filter((path) => path !== null).map(realLog))];
  const found = new Map<string, SizedSegment>();
  for (const segment of (await Promise.all(logs.map((log) => folders.segmentsOf(log)))).flat()) {
    const bytes = await stat(segment.path).then(
      ({ size }) => size,
      () => null,
    );
    if (bytes !== null) found.set(segment.path, { ...segment, bytes });
  }
  return [...found.values()];
}

export async function removeSegment({ path }: SizedSegment): Promise<void> {
  await rm(path, { force: true });
  await rm(timesPath(path), { force: true });
  // Left by a gzip whose supervisor was killed.
  await rm(partOf(path), { force: true });
}
