import { spawnSync } from 'node:child_process';
import { readdirSync, readlinkSync } from 'node:fs';

const LSOF_MS = 5000;

/** The processes, this one excepted, that have one of these files open. */
export function holdersOf(paths: ReadonlySet<string>): number[] {
  if (paths.size === 0) return [];
  const pids = process.platform === 'linux' ? holdersInProc(paths) : holdersByLsof(paths);
  return pids.filter((pid) => pid !== process.pid);
}

function holdersInProc(paths: ReadonlySet<string>): number[] {
  return list('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .filter((entry) =>
      list(`/proc/${entry}/fd`).some((fd) => paths.has(target(`/proc/${entry}/fd/${fd}`).replace(/ \(deleted\)$/, ''))),
    )
    .map(Number);
}

function holdersByLsof(paths: ReadonlySet<string>): number[] {
  const { stdout } = spawnSync('lsof', ['-t', '--', ...paths], { encoding: 'utf8', env: {}, timeout: LSOF_MS });
  return (stdout ?? '').split('\n').filter(Boolean).map(Number);
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function target(link: string): string {
  try {
    return readlinkSync(link);
  } catch {
    return '';
  }
}
