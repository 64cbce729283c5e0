import { constants, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import type { AppSpec } from '../domain/app-spec.ts';
import { logPaths } from '../domain/log-paths.ts';
import { makeFolder } from '../protocol/home.ts';
import type { Slot } from '../protocol/messages.ts';
import { openTrusted, trustedPath } from '../protocol/trusted-path.ts';
import type { LogCapture, LogStore, Pipes } from '../supervisor/ports.ts';
import { closeQuietly, FifoMaker, FifoReader } from './fifo.ts';
import { LineSplitter } from './line-splitter.ts';
import { TailBuffer } from './tail-buffer.ts';

/**
 * Keeps the output of instances in files.
 * @param prefix tells the pipes of several supervisors apart.
 * @param endHolders ends all processes that have one of these pipes open.
 */
export function logStore(
  runFolder: string,
  prefix: string,
  endHolders: (pipes: readonly string[]) => Promise<void>,
): LogStore {
  const fifos = new FifoMaker(runFolder, prefix);
  return {
    reserve: (instances) => fifos.reserve(instances * 2),
    open: (spec, slot, pipes = null) => new FileCapture(fifos, spec, slot, pipes),
    sweep: async (kept) => {
      const used = new Set(kept.flatMap(({ out, err }) => [out, err]));
      const left = fifos.left().filter((path) => !used.has(path));
      await endHolders(left);
      for (const path of left) rmSync(path, { force: true });
    },
    close: () => fifos.close(),
  };
}

type Sink = (bytes: Buffer) => void;

class FileCapture implements LogCapture {
  readonly pipes: Pipes;
  readonly #tail = new TailBuffer();
  readonly #fds: number[] = [];
  readonly #flushes: (() => void)[] = [];
  readonly #watching = new Set<{ readonly out: LineSplitter; readonly err: LineSplitter }>();
  readonly #out: FifoReader;
  readonly #err: FifoReader;
  readonly #onErr: Sink;
  readonly #appUid: number | null;

  constructor(fifos: FifoMaker, spec: AppSpec, slot: Slot, pipes: Pipes | null) {
    this.#appUid = spec.uid;
    const paths = logPaths(spec, slot);
    try {
      const combined = this.#open(paths.combined);
      const outFile = this.#open(paths.out);
      const errFile = paths.error === paths.out ? outFile : this.#open(paths.error);
      // What only one stream writes to needs no splitting: its bytes are appended as they come.
      const shared = spec.logs.merge || paths.error === paths.out;
      const out = shared ? this.#lines(outFile) : outFile;
      const err = shared ? this.#lines(errFile) : errFile;
      const combinedOut = this.#lines(combined);
      const combinedErr = this.#lines(combined);
      if (!pipes) fifos.reserve(2);
      this.pipes = pipes ?? { out: fifos.take(), err: fifos.take() };
      this.#out = new FifoReader(this.pipes.out, (bytes) => {
        out(bytes);
        combinedOut(bytes);
        for (const watch of this.#watching) watch.out.push(bytes);
      });
      this.#onErr = (bytes) => {
        this.#tail.push(bytes);
        err(bytes);
        combinedErr(bytes);
        for (const watch of this.#watching) watch.err.push(bytes);
      };
      this.#err = new FifoReader(this.pipes.err, this.#onErr);
    } catch (error) {
      this.#closeFiles();
      throw error;
    }
  }

  descriptors(): { outFd: number; errFd: number; close: () => void } {
    const outFd = this.#out.openWriter();
    const errFd = this.#err.openWriter();
    return {
      outFd,
      errFd,
      close: () => {
        closeQuietly(outFd);
        closeQuietly(errFd);
      },
    };
  }

  drain(): void {
    this.#out.drain();
    this.#err.drain();
    for (const flush of this.#flushes) flush();
  }

  stderrTail(): readonly string[] {
    return this.#tail.lines();
  }

  markRun(): void {
    this.#tail.clear();
  }

  note(line: string): void {
    this.#onErr(Buffer.from(`upkeep: ${line}\n`));
  }

  watchLines(pattern: RegExp, found: () => void): () => void {
    const look = (lines: Buffer): void => {
      const matches = lines
        .toString()
        .split('\n')
        .some((line) => pattern.test(line));
      if (!matches || !this.#watching.has(watch)) return;
      stop();
      found();
    };
    const watch = { out: new LineSplitter(look), err: new LineSplitter(look) };
    const stop = (): void => {
      this.#watching.delete(watch);
    };
    this.#watching.add(watch);
    return stop;
  }

  close(): void {
    this.drain();
    this.#out.close();
    this.#err.close();
    this.#closeFiles();
  }

  #closeFiles(): void {
    for (const fd of this.#fds.splice(0)) closeQuietly(fd);
  }

  #open(path: string | null): Sink {
    if (path === null || path === '/dev/null') return () => {};
    const fd = openLog(path, this.#appUid);
    this.#fds.push(fd);
    return (bytes) => {
      try {
        for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
      } catch {
        // A disk that is full, say: the app must not stop for it.
      }
    };
  }

  #lines(write: Sink): Sink {
    const splitter = new LineSplitter(write);
    this.#flushes.push(() => splitter.flush());
    return (bytes) => splitter.push(bytes);
  }
}

const APPEND = constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND;

function openLog(path: string, appUid: number | null): number {
  try {
    makeFolder(dirname(trustedPath(path, appUid)));
    return openTrusted(path, APPEND, appUid);
  } catch (cause) {
    const why = cause instanceof Error ? ((cause as NodeJS.ErrnoException).code ?? cause.message) : String(cause);
    throw new Error(`cannot write the log file ${path}: ${why}`, { cause });
  }
}
