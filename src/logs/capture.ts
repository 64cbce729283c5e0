import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { AppSpec } from '../domain/app-spec.ts';
import { logPaths } from '../domain/log-paths.ts';
import type { LostLines, Slot } from '../protocol/messages.ts';
import { removeQuietly } from '../protocol/remove-quietly.ts';
import type { Descriptors, LogCapture, LogStore, Pipes } from '../supervisor/ports.ts';
import { closeQuietly, FifoMaker, FifoReader, PIPES_OF_ONE } from './fifo.ts';
import { noteOf } from './format.ts';
import { type Forward, forwardsOf } from './forward.ts';
import { LineSplitter } from './line-splitter.ts';
import type { LogWriter } from './log-file.ts';
import { LogFiles } from './log-files.ts';
import { Stream } from './stream.ts';
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
  now: () => number = Date.now,
): LogStore {
  const fifos = new FifoMaker(runFolder, prefix);
  const files = new LogFiles(now);
  const captures = new Set<FileCapture>();
  return {
    reserve: (instances) => fifos.reserve(instances * PIPES_OF_ONE),
    open: (spec, slot, pipes = null) => {
      const capture: FileCapture = new FileCapture({ fifos, files, now }, spec, slot, pipes, () =>
        captures.delete(capture),
      );
      captures.add(capture);
      return capture;
    },
    noteGap: (spec, slot, line) => {
      const note = noteOf({ spec, id: slot.id, stream: 'err' }, now);
      for (const path of new Set(keptPaths(spec, slot))) {
        try {
          const writer = files.open(path, spec, note);
          writer.file.noteGap(line, note);
          files.release(writer);
        } catch {
          // The next run tells why there is no log.
        }
      }
    },
    sweep: async (kept) => {
      const used = new Set(kept.flatMap((pipes) => Object.values(pipes)));
      const left = [...new Set([...fifos.left(), ...fifos.held()])].filter((path) => !used.has(path));
      await endHolders(left);
      for (const path of left) {
        removeQuietly(path, heldPath(path));
      }
    },
    reopen: () => files.reopen(),
    leave: () => {
      for (const capture of captures) capture.leave();
      return files.close();
    },
    close: () => {
      fifos.close();
      return files.close();
    },
  };
}

interface Parts {
  readonly fifos: FifoMaker;
  readonly files: LogFiles;
  readonly now: () => number;
}

class FileCapture implements LogCapture {
  readonly pipes: Required<Pipes>;
  readonly #parts: Parts;
  readonly #tail = new TailBuffer();
  readonly #watching = new Set<{ readonly out: LineSplitter; readonly err: LineSplitter }>();
  readonly #writers: LogWriter[] = [];
  readonly #forwards: readonly Forward[];
  readonly #out: Stream;
  readonly #err: Stream;
  readonly #outReader: FifoReader;
  readonly #errReader: FifoReader;
  readonly #onClosed: () => void;

  constructor(parts: Parts, spec: AppSpec, slot: Slot, pipes: Pipes | null, onClosed: () => void) {
    this.#parts = parts;
    this.#onClosed = onClosed;
    const { fifos, now } = parts;
    const [out, err] = (['out', 'err'] as const).map((stream) => ({ spec, id: slot.id, stream }));
    if (!out || !err) throw new Error('unreachable');
    const { out: outPath, error: errPath, combined } = logPaths(spec, slot);
    const open = (path: string | null): LogWriter[] => this.#open(path, spec, noteOf(err, now));
    try {
      const [outForwards, errForwards] = [forwardsOf(out), forwardsOf(err)];
      this.#forwards = [...outForwards, ...errForwards];
      this.#out = new Stream(out, [...open(outPath), ...open(combined)], outForwards, now);
      this.#err = new Stream(err, [...open(errPath), ...open(combined)], errForwards, now);
      if (!pipes) fifos.reserve(PIPES_OF_ONE);
      this.pipes = { in: pipes?.in ?? fifos.take(), ...(pipes ?? { out: fifos.take(), err: fifos.take() }) };
      if (pipes) this.#goOn(pipes);
      this.#outReader = new FifoReader(this.pipes.out, (bytes) => {
        this.#out.push(bytes);
        for (const watch of this.#watching) watch.out.push(bytes);
      });
      this.#errReader = new FifoReader(this.pipes.err, (bytes) => {
        this.#tail.push(bytes);
        this.#err.push(bytes);
        for (const watch of this.#watching) watch.err.push(bytes);
      });
    } catch (error) {
      this.#closeFiles();
      throw error;
    }
  }

  descriptors(): Descriptors {
    const fds: number[] = [];
    const close = (): void => {
      for (const fd of fds.splice(0)) closeQuietly(fd);
    };
    const kept = (fd: number): number => {
      fds.push(fd);
      return fd;
    };
    try {
      const inFd = kept(this.#parts.fifos.open(this.pipes.in));
      return { inFd, outFd: kept(this.#outReader.openWriter()), errFd: kept(this.#errReader.openWriter()), close };
    } catch (error) {
      close();
      throw error;
    }
  }

  drain(): void {
    this.#outReader.drain();
    this.#errReader.drain();
    this.#outReader.endLine();
    this.#errReader.endLine();
    this.#out.flush();
    this.#err.flush();
  }

  stderrTail(): readonly string[] {
    return this.#tail.lines();
  }

  markRun(spec: AppSpec): void {
    this.#tail.clear();
    this.#out.setSpec(spec);
    this.#err.setSpec(spec);
  }

  note(line: string): void {
    this.#tail.push(Buffer.from(`upkeep: ${line}\n`));
    this.#err.note(line);
  }

  noteGap(line: string): void {
    this.#out.noteGap(line, this.#outReader.isMarked);
    this.#err.noteGap(line, this.#errReader.isMarked);
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

  lost(): LostLines | null {
    const sinks = [...new Set(this.#writers.map(({ file }) => file)), ...this.#forwards];
    const lines = sinks.reduce((sum, { lostLines }) => sum + lostLines, 0);
    const because = sinks.find(({ losingBecause }) => losingBecause !== null)?.losingBecause ?? null;
    return lines === 0 && because === null ? null : { lines, because };
  }

  watchLost(changed: () => void): void {
    for (const sink of [...this.#writers, ...this.#forwards]) sink.onLoss = changed;
  }

  /** Reads no more; what is held of unfinished lines is kept where the next supervisor finds it. */
  leave(): void {
    this.#outReader.leave();
    this.#errReader.leave();
    const held: Held = { out: this.#out.take().map(encode), err: this.#err.take().map(encode) };
    try {
      if ([...held.out, ...held.err].some((text) => text !== ''))
        writeFileSync(heldPath(this.pipes.out), JSON.stringify(held), { mode: 0o600 });
    } catch {
      // A part of a line is lost: the disk is full, say.
    }
    this.#closeFiles();
  }

  close(): void {
    this.drain();
    this.#outReader.close();
    this.#errReader.close();
    removeQuietly(this.pipes.in);
    this.#closeFiles();
    this.#onClosed();
  }

  #open(path: string | null, spec: AppSpec, note: (text: string) => Buffer): LogWriter[] {
    if (path === null || path === '/dev/null') return [];
    const writer = this.#parts.files.open(path, spec, note);
    this.#writers.push(writer);
    return [writer];
  }

  #goOn({ out: path }: Pipes): void {
    let held: Held = { out: [], err: [] };
    try {
      held = JSON.parse(readFileSync(heldPath(path), 'utf8')) as Held;
      rmSync(heldPath(path));
    } catch {
      // Nothing was held.
    }
    this.#out.goOn(held.out.map(decode));
    this.#err.goOn(held.err.map(decode));
  }

  #closeFiles(): void {
    for (const writer of this.#writers.splice(0)) this.#parts.files.release(writer);
    for (const forward of this.#forwards ?? []) forward.close();
  }
}

function keptPaths(spec: AppSpec, slot: Slot): string[] {
  const { out, error, combined } = logPaths(spec, slot);
  return [out, error, combined].filter((path) => path !== null && path !== '/dev/null') as string[];
}

/** What the streams of an instance held when one supervisor left them to the next. */
interface Held {
  readonly out: readonly string[];
  readonly err: readonly string[];
}

function heldPath(pipe: string): string {
  return `${pipe}.held`;
}

function encode(bytes: Buffer): string {
  return bytes.toString('base64');
}

function decode(text: string): Buffer {
  return Buffer.from(text, 'base64');
}
