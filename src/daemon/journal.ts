import { createHash } from 'node:crypto';
import { open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import * as v from 'valibot';
import type { AppRecord } from '../protocol/messages.ts';
import { appRecord } from '../protocol/schema.ts';

const FORMAT = 1;
const body = v.object({ format: v.literal(FORMAT), apps: v.array(appRecord) });

/**
 * The wanted state on disk. Two lines: a SHA-256 of the second, and the state as JSON. It is written to a temporary
 * file, fsynced and renamed; the generation before is kept beside it, and read where the newest is damaged.
 */
export class Journal {
  readonly #path: string;
  readonly #read: () => readonly AppRecord[];
  #intact: boolean;
  #writing: Promise<void> | null = null;
  #again: Promise<void> | null = null;

  /**
   * @param read gives the state to be written, at the time of writing.
   * @param intact whether the newest generation on disk can be read: a damaged one must not replace the one before it.
   */
  constructor(path: string, read: () => readonly AppRecord[], intact = true) {
    this.#path = path;
    this.#read = read;
    this.#intact = intact;
  }

  /** Resolves when a state at least as new as now is on disk. Calls that come while one is written share the next. */
  save(): Promise<void> {
    if (!this.#writing) {
      this.#writing = this.#write().finally(() => {
        this.#writing = null;
      });
      return this.#writing;
    }
    const next = () => {
      this.#again = null;
      return this.save();
    };
    this.#again ??= this.#writing.then(next, next);
    return this.#again;
  }

  async #write(): Promise<void> {
    const text = JSON.stringify({ format: FORMAT, apps: this.#read() });
    const temporary = `${this.#path}.tmp`;
    const file = await open(temporary, 'w', 0o600);
    try {
      await file.writeFile(`${checksum(text)}\n${text}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    if (this.#intact) await rename(this.#path, previous(this.#path)).catch(ignoreMissing);
    await rename(temporary, this.#path);
    this.#intact = true;
    const folder = await open(dirname(this.#path), 'r');
    // Until then the renames may be lost with the power.
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  }
}

export interface LoadedState {
  readonly apps: readonly AppRecord[];
  /** What was wrong with the newest generation, where an older one was taken. */
  readonly problem: string | null;
}

export async function loadState(path: string): Promise<LoadedState> {
  const newest = await readGeneration(path);
  if (newest.kind === 'good') return { apps: newest.apps, problem: null };
  const older = await readGeneration(previous(path));
  if (older.kind === 'good') {
    const why = newest.kind === 'missing' ? 'is missing' : newest.why;
    return { apps: older.apps, problem: `${path} ${why}; the generation before it was taken` };
  }
  return { apps: [], problem: newest.kind === 'missing' ? null : `${path} ${newest.why}; there is no older one` };
}

type Generation =
  | { readonly kind: 'good'; readonly apps: readonly AppRecord[] }
  | { readonly kind: 'missing' }
  | { readonly kind: 'bad'; readonly why: string };

async function readGeneration(path: string): Promise<Generation> {
  let content: string;
  try {
    content = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { kind: 'missing' };
    return { kind: 'bad', why: `cannot be read: ${(error as Error).message}` };
  }
  const [sum = '', text = ''] = content.split('\n');
  if (checksum(text) !== sum) return { kind: 'bad', why: 'is damaged: its checksum does not match' };
  const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), body), text);
  return parsed.success ? { kind: 'good', apps: parsed.output.apps } : { kind: 'bad', why: 'is of another format' };
}

function checksum(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function previous(path: string): string {
  return `${path}.1`;
}

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error;
}
