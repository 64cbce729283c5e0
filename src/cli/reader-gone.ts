import { spawn } from 'node:child_process';
import { fstatSync } from 'node:fs';

/**
 * Calls back when nobody reads from stdout any more, as after `| head`, while nothing is written to it: Node.js cannot
 * ask that of the system. GNU's `tail -f` can; any other ends at once, and says nothing.
 * @returns what ends the watch.
 */
export function watchReader(gone: () => void): () => void {
  if (!isPipe(1)) return () => {};
  const child = spawn('tail', ['-f', '/dev/null', `--pid=${process.pid}`], { stdio: ['ignore', 'inherit', 'ignore'] });
  child.on('error', () => {});
  child.once('exit', (_code, signal) => {
    if (signal === 'SIGPIPE') gone();
  });
  child.unref();
  return () => child.kill();
}

function isPipe(fd: number): boolean {
  try {
    return fstatSync(fd).isFIFO();
  } catch {
    return false;
  }
}
