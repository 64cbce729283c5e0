import { readFileSync } from 'node:fs';

/** Names the present boot of this machine, where pids and their start times mean what they say; '' where unknown. */
export function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return '';
  }
}
