import { setTimeout as sleep } from 'node:timers/promises';
import type { AppSpec } from '../domain/app-spec.ts';
import { trustedPath } from '../protocol/trusted-path.ts';
import { Compressor } from './compressor.ts';
import { LogFile, type LogFileOptions, type LogWriter } from './log-file.ts';
import { LogKeeper, logsOf } from './log-keeper.ts';
import { LogFolders, rotatedOf } from './segments.ts';

/** Files are set aside, and what is too old is removed, also when nothing is written. */
const TICK_MS = 60_000;
/** A disk that is full is tried again this often, also when nothing is written. */
const LOSING_TICK_MS = 1000;
const TIMES_MS = 50;
/** So long is waited at the end for a disk that is slow. */
const LAST_WRITES_MS = 2000;
const YEAR_MS = 366 * 24 * 3_600_000;

/** All log files that this process writes to, each opened once. */
export class LogFiles {
  readonly #files = new Map<string, { readonly file: LogFile; readonly keeper: LogKeeper }>();
  readonly #keepers = new Map<string, LogKeeper>();
  readonly #compressor = new Compressor();
  readonly #now: () => number;
  readonly #dirty = new Set<LogFile>();
  readonly #closing = new Set<Promise<void>>();
  #timesTimer: NodeJS.Timeout | null = null;
  #losingTimer: NodeJS.Timeout | null = null;
  #ticker: NodeJS.Timeout | null = null;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** @throws Error that names the path, where it cannot be written to. */
  open(path: string, app: AppSpec, note: (text: string) => Buffer): LogWriter {
    const { name, logs, uid: appUid } = app;
    const real = realLog(path, appUid);
    const options: LogFileOptions = { rotation: logs.rotation, bufferBytes: logs.bufferBytes, appUid, note };
    const known = this.#files.get(real);
    if (known) {
      known.file.options = options;
      known.keeper.app = app;
      return known.file.writer();
    }
    const keeper = this.#keepers.get(name) ?? new LogKeeper(app, this.#compressor, this.#now, () => this.#folders());
    let file: LogFile | undefined;
    file = new LogFile(real, options, {
      now: this.#now,
      lastRotation: (log) => lastRotationOf(log, this.#now()),
      onRotated: () => void keeper.run(),
      onDirty: () => file && this.#flushTimesSoon(file),
      onLoss: () => this.#onLoss(file),
    });
    keeper.app = app;
    this.#keepers.set(name, keeper);
    this.#files.set(real, { file, keeper });
    this.#ticker ??= setInterval(() => this.#tick(), TICK_MS).unref();
    return file.writer();
  }

  /** Nothing more comes from this writer. The file of the last one is closed. */
  release(writer: LogWriter): void {
    writer.close();
    const { file } = writer;
    if (file.isUsed) return;
    const closing = file.close();
    if (closing !== null) {
      this.#closing.add(closing);
      void closing.then(() => this.#closing.delete(closing));
    }
    this.#dirty.delete(file);
    this.#files.delete(file.path);
  }

  /** Looks for each file by its name: one that was moved away is left to whoever did that. */
  reopen(): void {
    for (const { file } of this.#files.values()) file.reopen();
  }

  /** @returns when all is written, or the disk is too slow for that. */
  async close(): Promise<void> {
    for (const timer of [this.#timesTimer, this.#losingTimer, this.#ticker]) if (timer) clearTimeout(timer);
    for (const keeper of this.#keepers.values()) keeper.close();
    this.#compressor.close();
    await Promise.race([Promise.all(this.#closing), sleep(LAST_WRITES_MS, undefined, { ref: false })]);
  }

  #tick(): void {
    for (const { file } of this.#files.values()) file.tick();
    const folders = this.#folders();
    const used = new Set([...this.#files.values()].map(({ keeper }) => keeper));
    for (const [name, keeper] of this.#keepers) {
      if (used.has(keeper)) void keeper.run(folders);
      else this.#keepers.delete(name);
    }
  }

  #folders(): LogFolders {
    return new LogFolders([...this.#keepers.values()].flatMap(({ app }) => logsOf(app)));
  }

  #flushTimesSoon(file: LogFile): void {
    this.#dirty.add(file);
    this.#timesTimer ??= setTimeout(() => {
      this.#timesTimer = null;
      for (const dirty of this.#dirty) dirty.flushTimes();
      this.#dirty.clear();
    }, TIMES_MS).unref();
  }

  /** @param file not there yet while it is being opened. */
  #onLoss(file: LogFile | undefined): void {
    file?.tellLoss();
    this.#losingTimer ??= setTimeout(() => {
      this.#losingTimer = null;
      for (const { file } of this.#files.values()) {
        if (file.losingBecause === null) continue;
        file.tick();
        this.#onLoss(file);
      }
    }, LOSING_TICK_MS).unref();
  }
}

/** One of the far future is no time at which anything was set aside: the next ones would have no names to follow it. */
function lastRotationOf(log: string, now: number): number {
  return rotatedOf(log).findLast(({ rotatedAt }) => (rotatedAt ?? 0) < now + YEAR_MS)?.rotatedAt ?? 0;
}

/** The file that is meant where a path leads through symbolic links: that is what is set aside. */
function realLog(path: string, appUid: number | null): string {
  try {
    return trustedPath(path, appUid);
  } catch (cause) {
    throw new Error(`cannot write the log file ${path}: ${(cause as Error).message}`, { cause });
  }
}
