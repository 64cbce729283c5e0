import { type ChildProcess, spawn } from 'node:child_process';
import { constants, openSync, rmSync } from 'node:fs';
import { open, rename, rm, stat } from 'node:fs/promises';
import { closeQuietly } from './fifo.ts';

/** A gzip that takes longer is ended. */
const LONGEST_MS = 30 * 60_000;
/** Behind everything else that runs. */
const NICENESS = '19';

/** Compresses files one at a time, in a process of their own that gives way to all others. */
export class Compressor {
  readonly #waiting: string[] = [];
  #running: { readonly path: string; readonly child: ChildProcess } | null = null;
  #closed = false;

  /** @param path becomes `path.gz`. Asking again changes nothing. */
  add(path: string): void {
    if (this.#closed || this.#running?.path === path || this.#waiting.includes(path)) return;
    this.#waiting.push(path);
    this.#next();
  }

  close(): void {
    this.#closed = true;
    this.#waiting.length = 0;
    if (!this.#running) return;
    this.#running.child.kill('SIGKILL');
    rmSync(partOf(this.#running.path), { force: true });
  }

  #next(): void {
    if (this.#running || this.#closed) return;
    const path = this.#waiting.shift();
    if (path === undefined) return;
    const fds: number[] = [];
    try {
      fds.push(openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW));
      // Another gzip, of a supervisor that was killed, may still write to one of that name.
      rmSync(partOf(path), { force: true });
      fds.push(openSync(partOf(path), constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600));
      const child = spawn('nice', ['-n', NICENESS, 'gzip', '-c'], {
        stdio: [...fds, 'ignore'],
        env: { PATH: '/usr/bin:/bin:/usr/local/bin' },
        timeout: LONGEST_MS,
        killSignal: 'SIGKILL',
      });
      this.#running = { path, child };
      child.once('error', () => void this.#ended(path, false));
      child.once('exit', (code) => void this.#ended(path, code === 0));
      child.unref();
    } catch {
      // It was removed meanwhile, or the disk is full: it stays as it is.
      setImmediate(() => this.#next());
    }
    for (const fd of fds) closeQuietly(fd);
  }

  async #ended(path: string, done: boolean): Promise<void> {
    if (this.#running?.path !== path || this.#closed) return;
    try {
      if (done) await replace(path);
      else await rm(partOf(path), { force: true });
    } catch {
      // Removed meanwhile, or the disk is full: it stays as it is.
      await rm(partOf(path), { force: true }).catch(() => {});
    }
    this.#running = null;
    this.#next();
  }
}

async function replace(path: string): Promise<void> {
  const part = await open(partOf(path), 'r+');
  try {
    await part.sync();
  } finally {
    await part.close();
  }
  // What is too old may have been removed meanwhile.
  await stat(path);
  await rename(partOf(path), `${path}.gz`);
  await rm(path, { force: true });
}

/** Where it is written until it is complete. */
export function partOf(path: string): string {
  return `${path}.gz.part`;
}
