import { readdir, rm, stat } from 'node:fs/promises';
import { basename, dirname, extname } from 'node:path';
import type { LogSpec } from '../domain/app-spec.ts';
import { type Compressor, partOf } from './compressor.ts';
import { expired, type SizedSegment } from './retention.ts';
import { realLog, segmentsIn } from './segments.ts';
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

  /** Looks through the files soon. */
  run(): void {
    if (this.#running) this.#again = true;
    else if (!this.#closed) void this.#run();
  }

  close(): void {
    this.#closed = true;
    if (this.#timer) clearTimeout(this.#timer);
  }

  async #run(): Promise<void> {
    this.#running = true;
    try {
      const segments = await sizedSegments(this.spec);
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
export async function sizedSegments({ out, error, combined }: LogSpec): Promise<readonly SizedSegment[]> {
  const logs = [...new Set([out, error, combined].filter((path) => path !== null).map(realLog))];
  const found = new Map<string, SizedSegment>();
  for (const folder of new Set(logs.map((path) => dirname(path)))) {
    const bases = logs.filter((path) => dirname(path) === folder).map((path) => basename(path));
    const isLog = (name: string): boolean => bases.some((base) => isInstanceOf(name, base));
    for (const segment of segmentsIn(folder, await readdir(folder).catch(() => []), isLog)) {
      const bytes = await stat(segment.path).then(
        ({ size }) => size,
        () => null,
      );
      if (bytes !== null) found.set(segment.path, { ...segment, bytes });
    }
  }
  return [...found.values()];
}

/** `api-out-3.log` is that of an instance of `api-out.log`; see domain/log-paths.ts. */
function isInstanceOf(name: string, base: string): boolean {
  if (name === base) return true;
  const extension = extname(base);
  const stem = base.slice(0, base.length - extension.length);
  if (!name.startsWith(`${stem}-`) || !name.endsWith(extension)) return false;
  return /^\d+$/.test(name.slice(stem.length + 1, name.length - extension.length));
}

export async function removeSegment({ path }: SizedSegment): Promise<void> {
  await rm(path, { force: true });
  await rm(timesPath(path), { force: true });
  // Left by a gzip whose supervisor was killed.
  await rm(partOf(path), { force: true });
}
