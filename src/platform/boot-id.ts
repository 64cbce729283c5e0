import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { readProcess } from './process-table.ts';

/** Names the present boot of this machine, where pids and their start times mean what they say; '' where unknown. */
export function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return '';
  }
}

/**
 * Whether this is the first call since the machine started, or since the container did, whose kernel has started before.
 * @param path a file to remember that in.
 */
export function isFirstSinceBoot(path: string): boolean {
  const current = `${bootId()} ${readProcess(1)?.startTime}`;
  const before = existsSync(path) ? readFileSync(path, 'utf8') : '';
  if (before === current) return false;
  try {
    writeFileSync(path, current, { mode: 0o600 });
  } catch {
    // On a full disk it cannot be remembered, and is asked again.
  }
  return true;
}
