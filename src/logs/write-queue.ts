import { Loss } from './loss.ts';
import type { FileOptions, RotatingFile } from './rotating-file.ts';

type QueuedFile = Pick<RotatingFile, 'append' | 'appendLater' | 'close'> & {
  readonly options: Pick<FileOptions, 'note'>;
};

/** Writes whole lines without blocking. What there is no room for while the disk is slow is dropped and counted. */
export class WriteQueue {
  readonly #file: QueuedFile;
  readonly #mostBytes: number;
  readonly #now: () => number;
  readonly #dropped = new Loss();
  readonly #queue: Buffer[] = [];
  #bytes = 0;
  #busy = false;
  #onClosed: (() => void) | null = null;

  constructor(file: QueuedFile, mostBytes: number, now: () => number) {
    this.#file = file;
    this.#mostBytes = mostBytes;
    this.#now = now;
  }

  get dropped(): Loss {
    return this.#dropped;
  }

  get isBusy(): boolean {
    return this.#busy;
  }

  push(lines: Buffer): void {
    // One chunk is always taken, however little may wait.
    if (this.#bytes > 0 && this.#bytes + lines.length > this.#mostBytes) {
      this.#dropped.begin('the disk is too slow', this.#now());
      this.#dropped.count(lines, 0);
      return;
    }
    this.#tellDropped();
    this.#add(Buffer.from(lines));
    this.#pump();
  }

  /** Nothing more comes. @returns when all is written and the file is closed. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#onClosed = resolve;
      if (!this.#busy) this.#finish();
    });
  }

  #finish(): void {
    for (const bytes of this.#queue.splice(0)) this.#file.append(bytes);
    if (this.#dropped.since !== null) this.#file.append(this.#note());
    this.#file.close();
    this.#onClosed?.();
  }

  /** In order: before what comes after it. */
  #tellDropped(): void {
    if (this.#dropped.since !== null) this.#add(this.#note());
  }

  #note(): Buffer {
    const note = this.#file.options.note(this.#dropped.text(this.#now()));
    this.#dropped.end();
    return note;
  }

  #add(bytes: Buffer): void {
    this.#queue.push(bytes);
    this.#bytes += bytes.length;
  }

  #pump(): void {
    if (this.#busy) return;
    if (this.#queue.length === 0) this.#tellDropped();
    const bytes = this.#queue.shift();
    if (bytes === undefined) return;
    this.#busy = true;
    this.#file.appendLater(bytes, () => {
      this.#busy = false;
      this.#bytes -= bytes.length;
      if (this.#onClosed) this.#finish();
      else this.#pump();
    });
  }
}
