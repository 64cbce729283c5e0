import {
  constants,
  fstatSync,
  ftruncateSync,
  readSync,
  renameSync,
  type Stats,
  statSync,
  write,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import type { RotationSpec } from '../domain/app-spec.ts';
import { makeFolder } from '../protocol/home.ts';
import { openTrusted } from '../protocol/trusted-path.ts';
import { closeQuietly } from './fifo.ts';
import { CUT, LONGEST_LINE_BYTES } from './line-splitter.ts';
import { lineStartOf } from './line-start.ts';
import { Loss, lossReason } from './loss.ts';
import { nextRotation, room, rotatedPath } from './rotation.ts';
import { TimesWriter, timesPath } from './times.ts';

const NEWLINE = 10;
/** The file is looked for by its name this often: it may have been moved, removed or emptied. */
const CHECK_MS = 1000;
/** What could not be set aside is tried again after this time. */
const ROTATE_AGAIN_MS = 60_000;
const { O_APPEND, O_CREAT, O_RDONLY, O_RDWR, O_WRONLY } = constants;
/** What may pass, as opposed to what makes the start of an app fail. */
const PASSING: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT', 'EIO', 'EMFILE', 'ENFILE', 'EROFS', 'ESTALE']);

export interface FileOptions {
  readonly rotation: Pick<RotationSpec, 'maxBytes' | 'interval'>;
  /** The user that the app runs as, whose links are not followed; null for this one. */
  readonly appUid: number | null;
  /** A line of upkeep's own, as the file has its lines. */
  readonly note: (text: string) => Buffer;
}

export interface FileWorld {
  readonly now: () => number;
  /** When this log was last set aside; 0 for never. */
  readonly lastRotation: (path: string) => number;
  readonly onRotated: () => void;
  /** Records of times wait to be flushed. */
  readonly onDirty: () => void;
  /** Something is lost, or not any more. */
  readonly onLoss: () => void;
}

/**
 * A log file that is set aside between two lines when it is full. What cannot be written is counted, and told in the
 * file once that can be written to again.
 */
export class RotatingFile {
  readonly path: string;
  readonly lost: Loss = new Loss();
  #options: FileOptions;
  readonly #world: FileWorld;
  #fd: number | null = null;
  #times: TimesWriter | null = null;
  #inode = 0;
  /** No device and no pipe. */
  #regular = false;
  #size = 0;
  /** Where the last line begins; the size when that has ended. */
  #lineStart = 0;
  #checkedAt = 0;
  #rotateAt = Number.POSITIVE_INFINITY;
  #rotateNotBefore = 0;
  /** null before it is known. */
  #lastRotation: number | null = null;
  /** Which of the bytes at hand are written next. */
  #from = 0;
  #to = 0;
  /** What was lost has been told of, but nothing was written since. */
  #told: { readonly at: number; readonly goOn: () => void } | null = null;

  /** @throws Error that names the path, where it cannot be written to for a reason that stays. */
  constructor(path: string, options: FileOptions, world: FileWorld) {
    this.path = path;
    this.#options = options;
    this.#world = world;
    const error = this.#open(world.now());
    if (error !== null && !PASSING.has(codeOf(error))) {
      throw new Error(`cannot write the log file ${path}: ${lossReason(codeOf(error))}`, { cause: error });
    }
  }

  get options(): FileOptions {
    return this.#options;
  }

  set options(options: FileOptions) {
    const { interval } = options.rotation;
    if (interval !== this.#options.rotation.interval) this.#rotateAt = nextRotation(interval, this.#world.now());
    this.#options = options;
  }

  /** @param bytes only valid during the call. */
  append(bytes: Buffer): void {
    for (let at = 0; this.#prepare(bytes, at); at = this.#to) {
      try {
        this.#to = this.#from + writeSync(this.#fd as number, bytes, this.#from, this.#to - this.#from);
      } catch (error) {
        return this.#fail(error, bytes);
      }
      this.#wrote(bytes);
    }
  }

  /** The same without blocking. One at a time; nothing else may be done with the file meanwhile. */
  appendLater(bytes: Buffer, done: () => void, at = 0): void {
    if (!this.#prepare(bytes, at)) return done();
    write(this.#fd as number, bytes, this.#from, this.#to - this.#from, null, (error, written) => {
      if (error) {
        this.#fail(error, bytes);
        return done();
      }
      this.#to = this.#from + written;
      this.#wrote(bytes);
      this.appendLater(bytes, done, this.#to);
    });
  }

  /** Whether the last line has not ended. */
  get inLine(): boolean {
    return this.#lineStart < this.#size;
  }

  /** Ends an unfinished line. */
  endLine(): void {
    if (!this.lost.endLine() && this.inLine) this.append(Buffer.of(NEWLINE));
  }

  /** Puts a line in place of the unfinished one. @param line gets that. */
  replaceLine(line: (unfinished: string) => Buffer): void {
    if (this.#fd === null || !this.inLine) return;
    const unfinished = Buffer.alloc(this.#size - this.#lineStart);
    let fd: number | null = null;
    try {
      // What is opened for appending cannot be written to elsewhere.
      fd = this.#openAs(O_RDWR);
      readSync(fd, unfinished, 0, unfinished.length, this.#lineStart);
      const bytes = line(unfinished.toString('utf8'));
      this.#size = this.#lineStart + writeSync(fd, bytes, 0, bytes.length, this.#lineStart);
      this.#lineStart = this.#size;
    } catch {
      this.endLine();
    }
    if (fd !== null) closeQuietly(fd);
  }

  /** Sets it aside when its time has come, and tells of what was lost, also when nothing is written. */
  tick(): void {
    const now = this.#world.now();
    this.#check(now);
    if (this.lost.since !== null) this.#recover(now);
    else if (now >= this.#rotateAt && this.#size > 0 && this.#lineStart === this.#size) this.#rotate(now);
  }

  /** Looks for the file by its name: one that was moved away is left to whoever did that. */
  reopen(): void {
    const now = this.#world.now();
    this.#check(now);
    if (this.lost.since === null) return;
    this.lost.retryAtOnce();
    this.#recover(now);
  }

  flushTimes(): void {
    this.#times?.flush(this.#world.now());
  }

  close(): void {
    if (this.lost.since !== null) this.tick();
    this.#closeFile();
  }

  /** Finds out what is written next of bytes, from `at` on. @returns whether anything is. */
  #prepare(bytes: Buffer, at: number): boolean {
    if (at >= bytes.length) return false;
    const now = this.#world.now();
    if (now - this.#checkedAt >= CHECK_MS || now < this.#checkedAt) this.#check(now);
    if (this.lost.since !== null && !this.#recover(now)) {
      this.lost.count(bytes, at);
      return false;
    }
    this.#from = this.lost.skip(bytes, at);
    if (this.#from >= bytes.length) return false;
    this.#to = this.#room(bytes, this.#from, now);
    if (this.#to > this.#from) return true;
    if (this.#lineStart < this.#size) this.#endCutLine();
    this.#rotate(now);
    if (this.lost.since !== null) {
      this.lost.count(bytes, this.#from);
      return false;
    }
    // Where another file stands in its place by now, that one may be full too: it is set aside at the next write.
    this.#to = this.#room(bytes, this.#from, now);
    if (this.#to === this.#from) this.#to = bytes.length;
    return true;
  }

  #room(bytes: Buffer, at: number, now: number): number {
    const { maxBytes, interval } = this.#options.rotation;
    if (now >= this.#rotateAt && this.#size === 0) this.#rotateAt = nextRotation(interval, now);
    const limit = now >= this.#rotateAt ? this.#lineStart : maxBytes;
    if (limit === null || !this.#regular || now < this.#rotateNotBefore) return bytes.length;
    return room(bytes, at, {
      size: this.#size,
      lineStart: this.#lineStart,
      maxBytes: limit,
      overshootBytes: LONGEST_LINE_BYTES,
    });
  }

  #wrote(bytes: Buffer): void {
    if (this.#times?.note(this.#world.now(), this.#size)) this.#world.onDirty();
    this.#size += this.#to - this.#from;
    const newline = bytes.lastIndexOf(NEWLINE, this.#to - 1);
    if (newline >= this.#from) this.#lineStart = this.#size - (this.#to - newline - 1);
    this.#told = null;
  }

  /** What could not be written is lost, with all of the line that it belongs to. */
  #fail(error: unknown, bytes: Buffer): void {
    const size = this.#size;
    if (this.#told !== null) {
      // Told too early: it goes on.
      this.#takeBack(this.#told.at);
      this.#told.goOn();
      this.#told = null;
      this.lost.count(bytes, this.#from);
    } else {
      this.#takeBack(this.#lineStart);
      this.lost.count(bytes, this.#from, size - this.#size);
    }
    this.lost.begin(codeOf(error), this.#world.now());
    this.#world.onLoss();
  }

  #takeBack(to: number): void {
    if (this.#fd === null || to >= this.#size) return;
    try {
      ftruncateSync(this.#fd, to);
      this.#size = to;
      this.#lineStart = to;
    } catch {
      // It stays as it is.
    }
  }

  /** Tries to tell of what was lost. @returns whether that is possible again. */
  #recover(now: number): boolean {
    if (!this.lost.retries(now)) return false;
    if (this.#fd === null && this.#open(now) !== null) return false;
    const note = this.#options.note(this.lost.text(now));
    const at = this.#size;
    try {
      const written = writeSync(this.#fd as number, note);
      this.#size += written;
      this.#lineStart = this.#size;
      if (written < note.length) {
        this.#takeBack(at);
        return false;
      }
    } catch {
      return false;
    }
    this.#told = { at, goOn: this.lost.end() };
    this.#world.onLoss();
    return true;
  }

  /** A line without end, that has become too long. */
  #endCutLine(): void {
    try {
      this.#size += writeSync(this.#fd as number, CUT);
      this.#lineStart = this.#size;
    } catch {
      // It is cut unmarked.
    }
  }

  #check(now: number): void {
    this.#checkedAt = now;
    const stat = this.#stat();
    if (this.#fd === null) return;
    if (stat === null || stat.ino !== this.#inode) {
      this.#closeFile();
      this.#open(now);
    } else if (stat.size !== this.#size && this.#regular) {
      // Emptied, or written to by someone else.
      if (stat.size < this.#size) this.#openTimes(stat);
      this.#lineStart = Math.max(0, this.#lineStart + stat.size - this.#size);
      this.#size = stat.size;
    }
  }

  #stat(): Stats | null {
    try {
      return statSync(this.path);
    } catch {
      return null;
    }
  }

  #rotate(now: number): void {
    this.#lastRotation ??= this.#world.lastRotation(this.path);
    const at = Math.max(now, this.#lastRotation + 1);
    const stat = this.#stat();
    if (stat !== null && stat.ino === this.#inode) {
      const target = rotatedPath(this.path, at);
      try {
        renameSync(this.path, target);
      } catch {
        this.#rotateNotBefore = now + ROTATE_AGAIN_MS;
        return;
      }
      this.#lastRotation = at;
      try {
        renameSync(timesPath(this.path), timesPath(target));
      } catch {
        // There are none.
      }
    }
    this.#closeFile();
    this.#open(now);
    this.#world.onRotated();
  }

  /** @returns why it could not be opened; null when it was. What is written then is lost. */
  #open(now: number): unknown {
    try {
      makeFolder(dirname(this.path));
      this.#fd = this.#openAs(O_WRONLY | O_APPEND | O_CREAT);
      const stat = fstatSync(this.#fd);
      this.#regular = stat.isFile();
      this.#inode = stat.ino;
      this.#size = stat.size;
      this.#lineStart = this.#regular ? this.#findLineStart(stat.size) : stat.size;
      this.#checkedAt = now;
      const began = stat.birthtimeMs > 0 && stat.size > 0 ? stat.birthtimeMs : now;
      this.#rotateAt = this.#regular ? nextRotation(this.#options.rotation.interval, began) : Number.POSITIVE_INFINITY;
      if (this.#regular) this.#openTimes(stat);
      return null;
    } catch (error) {
      this.#closeFile();
      this.lost.begin(codeOf(error), now);
      this.#world.onLoss();
      return error;
    }
  }

  #openAs(flags: number): number {
    return openTrusted(this.path, flags, this.#options.appUid);
  }

  #findLineStart(size: number): number {
    let fd: number | null = null;
    try {
      fd = this.#openAs(O_RDONLY);
      return lineStartOf(fd, size);
    } catch {
      // It may be written to, but not read.
      return size;
    } finally {
      if (fd !== null) closeQuietly(fd);
    }
  }

  #openTimes({ ino, size }: Stats): void {
    this.#times?.close();
    this.#times = new TimesWriter(this.path, ino, size, this.#options.appUid);
  }

  #closeFile(): void {
    this.#times?.close();
    this.#times = null;
    if (this.#fd !== null) closeQuietly(this.#fd);
    this.#fd = null;
    this.#size = 0;
    this.#lineStart = 0;
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error ? ((error as NodeJS.ErrnoException).code ?? error.message) : String(error);
}
