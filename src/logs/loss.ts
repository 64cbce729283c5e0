const NEWLINE = 10;
/** What cannot be written is tried again after this time. */
const RETRY_MS = 1000;

const REASONS: Readonly<Record<string, string>> = {
  ENOSPC: 'no space left on the disk',
  EDQUOT: 'the disk quota is used up',
  EROFS: 'the disk is read-only',
  EISDIR: 'it is a folder',
  ENXIO: 'it is a named pipe that nobody reads',
  EAGAIN: 'it is a pipe, and full: whoever reads it is too slow',
};

/** @param code of an error, or its message. */
export function lossReason(code: string): string {
  return REASONS[code] ?? code;
}

/** Counts what could not be kept. A line of which a part is lost is lost. */
export class Loss {
  /** Since when; null while all is kept. */
  #since: number | null = null;
  #reason = '';
  #lines = 0;
  #bytes = 0;
  #retryAt = 0;
  /** The last line that was lost has not ended. */
  #inLine = false;
  #totalLines = 0;

  get since(): number | null {
    return this.#since;
  }

  get reason(): string {
    return this.#reason;
  }

  /** Of all times. */
  get lines(): number {
    return this.#totalLines;
  }

  begin(code: string, now: number): void {
    this.#since ??= now;
    this.#reason = lossReason(code);
    this.#retryAt = now + RETRY_MS;
  }

  /** Whether it is time to try again; the next time is later. */
  retries(now: number): boolean {
    // The clock may have been set back.
    if (now < this.#retryAt && this.#retryAt - now <= RETRY_MS) return false;
    this.#retryAt = now + RETRY_MS;
    return true;
  }

  /** There is reason to think that it works again. */
  retryAtOnce(): void {
    this.#retryAt = 0;
  }

  /** Bytes are lost, from `at` on, and as many that had been written. */
  count(bytes: Buffer, at: number, takenBack = 0): void {
    this.#bytes += bytes.length - at + takenBack;
    let lines = this.#inLine ? 0 : 1;
    for (let end = bytes.indexOf(NEWLINE, at); end !== -1; end = bytes.indexOf(NEWLINE, end + 1)) lines++;
    this.#inLine = bytes[bytes.length - 1] !== NEWLINE;
    if (!this.#inLine) lines--;
    this.#lines += lines;
    this.#totalLines += lines;
  }

  /** @returns where, from `at` on, the rest of a line ends whose beginning was lost. */
  skip(bytes: Buffer, at: number): number {
    if (!this.#inLine) return at;
    const end = bytes.indexOf(NEWLINE, at);
    this.#inLine = end === -1;
    return end === -1 ? bytes.length : end + 1;
  }

  /** The writer of the line has ended. */
  endLine(): boolean {
    const ended = this.#inLine;
    this.#inLine = false;
    return ended;
  }

  text(now: number): string {
    const times = `${new Date(this.#since ?? now).toISOString()} and ${new Date(now).toISOString()}`;
    const what = `${this.#lines} ${this.#lines === 1 ? 'line' : 'lines'} (${this.#bytes} bytes)`;
    return `${what} were lost here, between ${times}: ${this.#reason}`;
  }

  /** It was told of. @returns what goes on with it after all. */
  end(): () => void {
    const [since, lines, bytes] = [this.#since, this.#lines, this.#bytes];
    this.#since = null;
    this.#lines = 0;
    this.#bytes = 0;
    return () => {
      this.#since = since;
      this.#lines = lines;
      this.#bytes = bytes;
    };
  }
}
