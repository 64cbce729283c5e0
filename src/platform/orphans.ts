import { setTimeout as sleep } from 'node:timers/promises';
import { pidOf } from '../domain/instance.ts';
import type { InstanceSnapshot } from '../protocol/messages.ts';
import { readProcess } from './process-table.ts';
import { sendSignal } from './send-signal.ts';

const POLL_MS = 20;
const LIMIT_MS = 2000;

/** Kills processes whose supervisor is gone, with their groups, and waits until they are. */
export async function killOrphans(instances: readonly InstanceSnapshot[]): Promise<void> {
  const pids = instances.flatMap((instance) => [...instance.draining, pidOf(instance) ?? []].flat());
  for (const pid of pids) {
    sendSignal(-pid, 'SIGKILL');
    sendSignal(pid, 'SIGKILL');
  }
  const deadline = Date.now() + LIMIT_MS;
  while (Date.now() < deadline && pids.some(isAlive)) await sleep(POLL_MS);
}

function isAlive(pid: number): boolean {
  const stat = readProcess(pid);
  return stat !== null && !stat.zombie;
}
