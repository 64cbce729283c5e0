import { readFileSync } from 'node:fs';
import { folderOf } from './cgroups.ts';

/** How often the kernel has killed a process of this cgroup for want of memory; null where that cannot be read. */
function oomKills(): number | null {
  try {
    const events = readFileSync(`${folderOf('self')}/memory.events`, 'utf8');
    const count = /^oom_kill (\d+)$/m.exec(events)?.[1];
    return count === undefined ? null : Number(count);
  } catch {
    return null;
  }
}

let known = oomKills();

/** Whether a process that just ended by SIGKILL was one more that the kernel killed for want of memory. */
export function killedForMemory(): boolean {
  const before = known;
  known = oomKills();
  return before !== null && known !== null && known > before;
}
