import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

const DEFAULT_LIMIT_MS = 60_000;
const DRAIN_MS = 200;

/** Runs a command to its end; rejects when it fails or exceeds the limit. */
export const runCommand = async (argv, { env, limitMs = DEFAULT_LIMIT_MS }) => {
  const startedAt = performance.now();
  const child = spawn(argv[0], argv.slice(1), { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk) => {
      output += chunk;
    });
  }
  const closed = once(child, 'close');
  closed.catch(() => {});
  const timer = setTimeout(() => child.kill('SIGKILL'), limitMs);
  try {
    const [code, signal] = await once(child, 'exit');
    const ms = performance.now() - startedAt;
    // A daemon that inherited the pipes would keep them open: wait for the last output, but not for long.
    await Promise.race([closed, sleep(DRAIN_MS, undefined, { ref: false })]);
    if (code !== 0) throw new Error(`${argv.join(' ')} ended with ${signal ?? code}:\n${output.slice(-2000)}`);
    return { startedAt, ms, output };
  } finally {
    clearTimeout(timer);
    child.stdout.unref();
    child.stderr.unref();
  }
};
