import { type ChildProcess, spawn } from 'node:child_process';
import { constants, fstatSync, fsync, openSync, rmSync } from 'node:fs';
import { lstat, rename, rm } from 'node:fs/promises';
import { promisify } from 'node:util';
import { closeQuietly } from './fifo.ts';
import { openOwn } from './own-files.ts';
import type { Segment } from './segments.ts';

/** A gzip that takes longer is ended. */
const LONGEST_MS = 30 * 60_000;
/** Behind everything else that runs. */
const NICENESS = '19';
const sync = promisify(fsync);

interface Running {
  readonly path: string;
  /** What it writes. */
  readonly partFd: number;
  readonly child: ChildProcess;
}

/** Compresses files one at a time, in a process of their own that gives way to all others. */
export class Compressor {
  readonly #waiting: Segment[] = [];
  #running: Running | null = null;
  #closed = false;

  /** @param segment its `path` becomes `path.gz`. Asking again changes nothing. */
  add(segment: Segment): void {
    const isKnown = this.#running?.path === segment.path || this.#waiting.some(({ path }) => path === segment.path);
    if (this.#closed || isKnown) return;
    this.#waiting.push(segment);
    this.#next();
  }

  close(): void {
    this.#closed = true;
    this.#waiting.length = 0;
    if (!this.#running) return;
    this.#running.child.kill('SIGKILL');
    closeQuietly(this.#running.partFd);
    rmSync(partOf(this.#running.path), { force: true });
  }

  #next(): void {
    if (this.#running || this.#closed) return;
    const segment = this.#waiting.shift();
    if (segment === undefined) return;
    const { path } = segment;
    const fds: number[] = [];
    try {
      fds.push(openOwn(path, segment.log).fd);
      // Another gzip, of a supervisor that was killed, may still write to one of that name.
      rmSync(partOf(path), { force: true });
      const partFd = openSync(partOf(path), constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
      fds.push(partFd);
      const child = spawn('nice', ['-n', NICENESS, 'gzip', '-c'], {
        stdio: [...fds, 'ignore'],
        env: { PATH: '/usr/bin:/bin:/usr/local/bin' },
        timeout: LONGEST_MS,
        killSignal: 'SIGKILL',
      });
      fds.pop();
      const running = { path, partFd, child };
      this.#running = running;
      child.once('error', () => void this.#ended(running, false));
      child.once('exit', (code) => void this.#ended(running, code === 0));
      child.unref();
    } catch {
      // It was removed meanwhile, or the disk is full: it stays as it is.
      setImmediate(() => this.#next());
    }
    for (const fd of fds) closeQuietly(fd);
  }

  async #ended(running: Running, done: boolean): Promise<void> {
    if (this.#running !== running || this.#closed) return;
    const { path, partFd } = running;
    try {
      if (done) await replace(path, partFd);
      else await rm(partOf(path), { force: true });
    } catch {
      // Removed meanwhile, or the disk is full: it stays as it is.
      await rm(partOf(path), { force: true }).catch(() => {});
    }
    // It may have been closed meanwhile, and then the descriptor was, too.
    if (this.#closed) return;
    closeQuietly(partFd);
    this.#running = null;
    this.#next();
  }
}

async function replace(path: string, partFd: number): Promise<void> {
  await sync(partFd);
  // What is too old may have been removed meanwhile.
  await lstat(path);
  const { ino } = await lstat(partOf(path));
  if (ino !== fstatSync(partFd).ino) throw new Error(`${partOf(path)} is another file by now`);
  await rename(partOf(path), gzOf(path));
  await rm(path, { force: true });
}

export function gzOf(path: string): string {
  return `${path}.gz`;
}

/** Where it is written until it is complete. */
export function partOf(path: string): string {
  return `${gzOf(path)}.part`;
}
