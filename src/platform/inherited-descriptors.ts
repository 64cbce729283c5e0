import { closeSync, readdirSync, readFileSync } from 'node:fs';

const FOLDER = '/proc/self/fdinfo';
/** Of the flags of a descriptor, in octal: it ends where a program takes the place of another. Linux has one value. */
const CLOSE_ON_EXEC = 0o2000000;
const LAST_OF_STDIO = 2;

/**
 * Closes what whoever started this process had open and has left open for it: a lock, a secret. Else it would be handed
 * on to every app. Node.js lets go of none of it: what it opens itself is all marked to end with the program, and so is
 * what it inherits below 16. On macOS it hands nothing on that it was not told to.
 */
export function closeInherited(): void {
  for (const fd of descriptors()) {
    if (fd <= LAST_OF_STDIO || endsWithProgram(fd)) continue;
    try {
      closeSync(fd);
    } catch {
      // It was that of the look itself.
    }
  }
}

function descriptors(): number[] {
  try {
    return readdirSync(FOLDER).map(Number);
  } catch {
    return [];
  }
}

/** Also where that cannot be told: it is gone, mostly. */
function endsWithProgram(fd: number): boolean {
  try {
    const flags = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`${FOLDER}/${fd}`, 'latin1'))?.[1] ?? '';
    return flags === '' || (Number.parseInt(flags, 8) & CLOSE_ON_EXEC) !== 0;
  } catch {
    return true;
  }
}
