import { setTimeout as sleep } from 'node:timers/promises';
import { holdersOf } from './fifo-holders.ts';
import { sendSignal } from './send-signal.ts';

const POLL_MS = 20;
const LIMIT_MS = 2000;

/** Kills the processes that have one of these files open, and waits until none is left. */
export async function endHolders(paths: readonly string[]): Promise<void> {
  const wanted = new Set(paths);
  const deadline = performance.now() + LIMIT_MS;
  for (let pids = holdersOf(wanted); pids.length > 0 && performance.now() < deadline; pids = holdersOf(wanted)) {
    for (const pid of pids) sendSignal(pid, 'SIGKILL');
    await sleep(POLL_MS);
  }
}
