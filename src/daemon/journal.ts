import { existsSync } from 'node:fs';
import * as fs from 'node:fs/promises';
import { dirname } from 'node:path';
import { UpkeepError } from '../protocol/errors.ts';
import type { AppRecord } from '../protocol/messages.ts';
import { asidePath, checksumOf, type LoadedState, previousPath, stateText } from './state-file.ts';

/** A disk that has not answered by then hangs; what was to be saved is tried again when it does. */
const SAVE_MS = 15_000;

/** What a journal needs of the file system. */
export interface Disk {
  readonly open: (path: string, flags: string, mode?: number) => Promise<OpenFile>;
  readonly rename: (from: string, to: string) => Promise<void>;
  readonly rm: (path: string, options: { readonly force: true }) => Promise<void>;
}

type Found = Pick<LoadedState, 'problem' | 'unreadable' | 'aside'>;

interface OpenFile {
  readonly writeFile: (text: string) => Promise<void>;
  readonly sync: () => Promise<void>;
  readonly close: () => Promise<void>;
}

/**
 * Writes the wanted state: to a temporary file, which is fsynced and renamed; the generation before is kept beside it.
 * At any moment at least one of the two can be read.
 */
export class Journal {
  readonly #path: string;
  readonly #read: () => readonly AppRecord[];
  readonly #disk: Disk;
  readonly #saveMs: number;
  readonly #loaded: Found;
  /** Files in its way that could not be read: they may hold what nobody else knows. */
  #unreadable: readonly string[];
  #aside: readonly string[];
  #writing: Promise<void> | null = null;
  #again: Promise<void> | null = null;
  #failure: string | null = null;
  #writingSince: number | null = null;
  /** The checksum of what is on disk, where that is known. */
  #onDisk: string | null = null;

  /**
   * @param read gives the state to be written, at the time of writing.
   * @param loaded what was found on disk.
   */
  constructor(
    path: string,
    read: () => readonly AppRecord[],
    loaded: Found = { problem: null, unreadable: [], aside: [] },
    disk: Disk = fs,
    saveMs: number = SAVE_MS,
  ) {
    this.#path = path;
    this.#read = read;
    this.#loaded = loaded;
    this.#unreadable = loaded.unreadable;
    this.#aside = loaded.aside;
    this.#disk = disk;
    this.#saveMs = saveMs;
  }

  /** What there is to be written now is what was read from the disk. */
  isRead(): void {
    this.#onDisk = checksumOf(stateText(this.#read()));
  }

  /** Whether what is on disk is older than what is wanted. */
  get isBehind(): boolean {
    return this.#failure !== null;
  }

  /** For how long the present write has been under way; 0 where none is. */
  get writingMs(): number {
    return this.#writingSince === null ? 0 : performance.now() - this.#writingSince;
  }

  /** What people should know of the list of apps, until it is mended. */
  get problems(): readonly string[] {
    const { problem } = this.#loaded;
    const aside = this.#aside.filter((file) => existsSync(file));
    return [
      ...(this.#failure === null ? [] : [`the list of apps is not saved: ${this.#failure}`]),
      ...(this.#unreadable.length > 0
        ? [`the list of apps may be incomplete: ${problem}. The next change keeps that file aside`]
        : []),
      ...(aside.length > 0
        ? [
            `the list of apps may be incomplete: ${aside.join(' and ')} could not be read. See that nothing is missing, then remove ${aside.length > 1 ? 'them' : 'it'}`,
          ]
        : []),
    ];
  }

  /**
   * Resolves when a state at least as new as now is on disk. Calls that come while one is written share the next.
   * @param anew what was there may be gone.
   * @throws UpkeepError STATE_UNSAVED; what is on disk is then as it was.
   */
  async save(anew = false): Promise<void> {
    if (anew) this.#onDisk = null;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        reject(new Error(`the disk has not answered within ${this.#saveMs} ms`));
        // What is written by then may not be wanted any more.
        this.#next().catch(() => {});
      }, this.#saveMs);
    });
    try {
      await Promise.race([this.#next(), late]);
      this.#failure = null;
    } catch (cause) {
      this.#failure = (cause as Error).message;
      throw new UpkeepError('STATE_UNSAVED', `the list of apps cannot be saved: ${this.#failure}`, {
        cause,
        hint: `nothing was done: ${remedyOf(cause)}, then give the command again`,
      });
    } finally {
      clearTimeout(timer);
    }
  }

  #next(): Promise<void> {
    if (!this.#writing) {
      this.#writingSince = performance.now();
      this.#writing = this.#write().finally(() => {
        this.#writing = null;
        this.#writingSince = null;
      });
      return this.#writing;
    }
    const next = () => {
      this.#again = null;
      return this.#next();
    };
    this.#again ??= this.#writing.then(next, next);
    return this.#again;
  }

  async #write(): Promise<void> {
    const { rename, rm } = this.#disk;
    const temporary = `${this.#path}.tmp`;
    const text = stateText(this.#read());
    // Also where a disk is full or slow, what changes nothing needs none.
    if (checksumOf(text) === this.#onDisk) return;
    try {
      await rm(temporary, { force: true });
      await this.#writeSynced(temporary, text);
    } catch (error) {
      // On a full disk, half a file is in the way of everything else.
      await rm(temporary, { force: true }).catch(() => {});
      throw error;
    }
    this.#onDisk = null;
    if (this.#unreadable.length > 0) await this.#putAside();
    await rename(this.#path, previousPath(this.#path)).catch(ignoreMissing);
    await rename(temporary, this.#path);
    await this.#sync(dirname(this.#path));
    this.#onDisk = checksumOf(text);
  }

  async #putAside(): Promise<void> {
    for (const path of this.#unreadable) {
      const aside = asidePath(path, new Date());
      await this.#disk.rename(path, aside).catch(ignoreMissing);
      this.#aside = [...this.#aside, aside];
    }
    await this.#sync(dirname(this.#path));
    this.#unreadable = [];
  }

  /** Anew, for the owner only: what stood there is not followed. */
  async #writeSynced(path: string, text: string): Promise<void> {
    const file = await this.#disk.open(path, 'wx', 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
  }

  /** Until then, renames may be lost with the power. */
  async #sync(folder: string): Promise<void> {
    const file = await this.#disk.open(folder, 'r');
    try {
      await file.sync();
    } finally {
      await file.close();
    }
  }
}

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error;
}

/** What lets a list be saved again. */
export function remedyOf(cause: unknown): string {
  const { code = '' } = cause as NodeJS.ErrnoException;
  return ['EACCES', 'EPERM', 'EROFS'].includes(code) ? 'let its folder be written to' : 'make room on the disk';
}
