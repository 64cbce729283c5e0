/** Prints where a Node.js process is that does not turn: `stack.cjs PID START_TIME`. Run by a supervisor, as it may take a while. */
import { blockedStack } from '../platform/blocked-stack.ts';

const LIMIT_MS = 3000;

setTimeout(() => process.exit(1), LIMIT_MS).unref();
const [, , pid, startTime = ''] = process.argv;
blockedStack(Number(pid), startTime).then(
  (frames) => process.stdout.write(frames.map((frame) => `${frame}\n`).join('')),
  (error: Error) => {
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  },
);
