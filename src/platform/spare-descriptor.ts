import { closeSync, openSync } from 'node:fs';

/** Held back, so that one is left when this process may open no more. */
let spare: number | null = null;

/**
 * Does at once what needs one descriptor, also where none is left: who cannot look at a process must not take it for
 * gone.
 */
export function withDescriptor<T>(action: () => T): T {
  hold();
  try {
    return action();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if ((code !== 'EMFILE' && code !== 'ENFILE') || spare === null) throw error;
    closeSync(spare);
    spare = null;
    try {
      return action();
    } finally {
      hold();
    }
  }
}

function hold(): void {
  if (spare !== null) return;
  try {
    spare = openSync('/dev/null', 'r');
  } catch {
    // The next call may have more luck.
  }
}
