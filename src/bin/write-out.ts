import { writeSync } from 'node:fs';

const RETRY_MS = 5;
const pause = new Int32Array(new SharedArrayBuffer(4));

/** Writes to stdout without the stream, whose making takes longer than drawing a table. */
export function writeOut(data: string | Buffer): void {
  const bytes = typeof data === 'string' ? Buffer.from(data) : data;
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(1, bytes, at);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // Who reads has had enough, as `| head`: that is no error.
      if (code === 'EPIPE') process.exit(0);
      if (code !== 'EAGAIN') throw error;
      Atomics.wait(pause, 0, 0, RETRY_MS);
    }
  }
}
