import { writeSync } from 'node:fs';

const RETRY_MS = 5;
const pause = new Int32Array(new SharedArrayBuffer(4));

/** Writes to stdout or stderr without the stream, whose making takes longer than drawing a table. */
export function writeOut(data: string | Buffer, fd: 1 | 2 = 1): void {
  const bytes = typeof data === 'string' ? Buffer.from(data) : data;
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(fd, bytes, at);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // Who reads has had enough, as `| head`: that is no error.
      if (code === 'EPIPE' && fd === 1) process.exit(0);
      // Nobody can be told that nobody hears what went wrong.
      if (fd === 2 && code !== 'EAGAIN') return;
      if (code !== 'EAGAIN') throw error;
      Atomics.wait(pause, 0, 0, RETRY_MS);
    }
  }
}
