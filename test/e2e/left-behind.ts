import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { startInCgroup } from '../../src/platform/cgroups.ts';
import type { Sandbox } from './harness.ts';
import { isAlive } from './processes.ts';
import { until } from './until.ts';

/** Whether this process, and so what it starts, may make cgroups. */
export const cgroups: boolean = ((): boolean => {
  const { child, cgroup } = startInCgroup(() => spawn('sleep', ['10'], { stdio: 'ignore' }), false);
  child.once('exit', () => cgroup?.remove());
  child.kill('SIGKILL');
  return cgroup !== null;
})();

export interface Left {
  readonly daemon: number;
  /** Nothing but a cgroup holds it. */
  readonly clean: number;
}

/** What a run of a fixture has left behind, once it has said so. */
export async function leftBy(box: Sandbox, log: string, run = 1): Promise<Left> {
  const text = await until(
    () => (box.log(log).split('left them').length > run ? box.log(log) : null),
    `run ${run} in ${log}`,
  );
  const pids = (name: string): number[] =>
    [...text.matchAll(new RegExp(`${name} (\\d+)`, 'g'))].map((match) => Number(match[1]));
  return { daemon: pids('daemon')[run - 1] ?? 0, clean: pids('clean')[run - 1] ?? 0 };
}

export function endIfAlive(pids: readonly number[]): void {
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It is gone, as it should be.
    }
  }
}

/** Nothing is left of them; without a cgroup, one that has thrown its environment away may be. */
export function assertGone({ daemon, clean }: Left, by: string): void {
  const alive = [daemon, clean].filter(isAlive);
  endIfAlive(alive);
  assert.deepEqual(alive, cgroups ? [] : alive.filter((pid) => pid === clean), `left after ${by}`);
}
