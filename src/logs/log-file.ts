import { CUT, LineSplitter } from './line-splitter.ts';
import { type FileOptions, type FileWorld, RotatingFile } from './rotating-file.ts';
import { WriteQueue } from './write-queue.ts';

const NEWLINE = 10;
/** Others wait for so long, or with so much, for the end of a line that one of them has begun. */
const WAIT_MS = 1000;
const WAITING_BYTES = 256 * 1024;

export interface LogFileOptions extends FileOptions {
  /** How much may wait for a slow disk; null: the app waits. */
  readonly bufferBytes: number | null;
}

/**
 * A log that any number of streams write to. One alone appends its bytes as they come, unfinished lines too, so that
 * nothing is held in memory; several append whole lines.
 */
export class LogFile {
  readonly path: string;
  readonly #file: RotatingFile;
  readonly #queue: WriteQueue | null;
  readonly #writers = new Set<LogWriter>();
  /** Who has begun a line that has not ended. */
  #open: LogWriter | null = null;
  /** Lines of others, until it ends. */
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #timer: NodeJS.Timeout | null = null;
  #gapNoted = false;

  /** @throws Error that names the path, where it cannot be written to. */
  constructor(path: string, options: LogFileOptions, world: FileWorld) {
    this.path = path;
    this.#file = new RotatingFile(path, options, world);
    this.#queue = options.bufferBytes === null ? null : new WriteQueue(this.#file, options.bufferBytes, world.now);
  }

  get wholeLines(): boolean {
    return this.#writers.size > 1 || this.#queue !== null;
  }

  get isUsed(): boolean {
    return this.#writers.size > 0;
  }

  get lostLines(): number {
    return this.#file.lost.lines + (this.#queue?.dropped.lines ?? 0);
  }

  /** Why lines are being lost at present; else null. */
  get losingBecause(): string | null {
    const { lost } = this.#file;
    if (lost.since !== null) return lost.reason;
    return this.#queue?.dropped.since ? this.#queue.dropped.reason : null;
  }

  set options(options: FileOptions) {
    this.#file.options = options;
  }

  /** Tells those who write that something is lost, or not any more. */
  tellLoss(): void {
    for (const writer of this.#writers) writer.onLoss();
  }

  writer(): LogWriter {
    const writer = new LogWriter(this);
    this.#writers.add(writer);
    return writer;
  }

  drop(writer: LogWriter): void {
    this.#writers.delete(writer);
  }

  /** @param writer null for whole lines of upkeep's own. */
  append(bytes: Buffer, writer: LogWriter | null): void {
    if (this.#open !== null && this.#open !== writer) {
      this.#waiting.push(Buffer.from(bytes));
      this.#waitingBytes += bytes.length;
      if (this.#waitingBytes > WAITING_BYTES) this.#endOpenLine();
      else this.#timer ??= setTimeout(() => this.#endOpenLine(), WAIT_MS).unref();
      return;
    }
    if (this.#queue !== null) return this.#queue.push(bytes);
    // Left by who wrote to it before.
    if (this.#open === null && this.#file.inLine) this.#file.endLine();
    this.#file.append(bytes);
    this.#open = bytes[bytes.length - 1] === NEWLINE ? null : writer;
    if (this.#open === null) this.#flushWaiting();
  }

  /** This writer goes on with the line that stands unfinished in the file, as it was another process that began it. */
  goOn(writer: LogWriter): void {
    if (!this.wholeLines && this.#file.inLine) this.#open = writer;
  }

  /**
   * Something is missing here; said once.
   * @param text says so; it stands in place of a line that is unfinished, and quotes it.
   * @param note makes it a line of upkeep's own.
   */
  noteGap(text: string, note: (text: string) => Buffer): void {
    // By another stream, or another instance.
    if (this.#gapNoted) return;
    this.#gapNoted = true;
    this.#open = null;
    if (!this.#file.inLine) this.append(note(text), null);
    else this.#file.replaceLine((unfinished) => note(`${text}; it had written of a line: ${unfinished}`));
  }

  /** Ends the line that this writer has begun. */
  endLineOf(writer: LogWriter): void {
    if (this.#open === writer) this.#endOpenLine();
  }

  /** Leaves the line that this writer has begun to another process. */
  leaveLineOf(writer: LogWriter): void {
    if (this.#open !== writer) return;
    if (this.#waitingBytes > 0) this.#endOpenLine();
    this.#open = null;
  }

  tick(): void {
    if (!this.#queue?.isBusy) this.#file.tick();
  }

  reopen(): void {
    if (!this.#queue?.isBusy) this.#file.reopen();
  }

  flushTimes(): void {
    this.#file.flushTimes();
  }

  /** @returns when all is written, where some still waits for the disk. */
  close(): Promise<void> | null {
    this.#endOpenLine();
    if (this.#queue !== null) return this.#queue.close();
    this.#file.close();
    return null;
  }

  #endOpenLine(): void {
    if (this.#open === null) return;
    this.#file.endLine();
    this.#open = null;
    this.#flushWaiting();
  }

  #flushWaiting(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#waitingBytes === 0) return;
    const waiting = Buffer.concat(this.#waiting);
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#file.append(waiting);
  }
}

/** One stream's way into a log. */
export class LogWriter {
  readonly file: LogFile;
  onLoss: () => void = () => {};
  readonly #splitter: LineSplitter;

  constructor(file: LogFile) {
    this.file = file;
    this.#splitter = new LineSplitter((lines, cut) => {
      file.append(cut ? Buffer.concat([lines, CUT]) : lines, this);
    });
  }

  /** @param bytes only valid during the call. */
  write(bytes: Buffer): void {
    if (this.file.wholeLines) return this.#splitter.push(bytes);
    if (!this.#splitter.isEmpty) this.file.append(this.#splitter.take(), this);
    this.file.append(bytes, this);
  }

  /** Ends an unfinished line, as when the process has exited. */
  flush(): void {
    this.#splitter.flush();
    this.file.endLineOf(this);
  }

  /** Gives away the unfinished line that it holds, for another process to go on with. */
  take(): Buffer {
    this.file.leaveLineOf(this);
    return this.#splitter.take();
  }

  /** Goes on with what another process has left. */
  goOn(unfinished: Buffer): void {
    if (unfinished.length > 0) this.#splitter.push(unfinished);
    else this.file.goOn(this);
  }

  close(): void {
    this.flush();
    this.file.drop(this);
  }
}
