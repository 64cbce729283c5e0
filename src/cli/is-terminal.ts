import { fstatSync } from 'node:fs';

/** Like isatty(), without loading node:tty and with it node:net. /dev/null counts too, which does no harm. */
export function isTerminal(fd: number): boolean {
  try {
    return fstatSync(fd).isCharacterDevice();
  } catch {
    return false;
  }
}
