/** What passes once others give back what they hold, and is no fault of the app that meets it. */
const SHORT_OF: Readonly<Record<string, string>> = {
  EAGAIN: 'processes',
  ENOMEM: 'memory',
  EMFILE: 'file descriptors',
  ENFILE: 'file descriptors',
  ENOSPC: 'disk space',
  EDQUOT: 'disk space',
};

/** As programs that are run for something tell them. */
const TOLD: readonly (readonly [RegExp, string])[] = [
  [/No space left on device/i, 'ENOSPC'],
  [/Disk quota exceeded/i, 'EDQUOT'],
  [/Too many open files in system/i, 'ENFILE'],
  [/Too many open files/i, 'EMFILE'],
  [/Cannot allocate memory/i, 'ENOMEM'],
  [/Resource temporarily unavailable/i, 'EAGAIN'],
];

/** Stands in the reason of what failed for want of something. */
export const SHORT = 'the machine is short of ';
export const SHORT_HINT = 'free it, or raise its limit (`ulimit -a`, the limits of its cgroup, the disk)';

/** Stands in the reason of what failed as a file is away that is not the app's. */
export const AWAY = 'is not there, as while another version takes its place';
export const AWAY_HINT = 'install it again, if nothing does so by now';

/** Thrown where a file is away without which nothing can be started: one of upkeep's own, or an interpreter. */
export class AwayError extends Error {
  constructor(path: string) {
    super(`${path} ${AWAY}`);
  }
}

/** @returns what is missing for a while, where an error means that: `the machine is short of memory (ENOMEM)`. */
export function shortageOf(error: unknown): string | null {
  for (let each = error; each instanceof Error; each = each.cause) {
    if (each instanceof AwayError) return each.message;
    const { code = '', message } = each as NodeJS.ErrnoException;
    const found = Object.hasOwn(SHORT_OF, code) ? code : TOLD.find(([text]) => text.test(message))?.[1];
    if (found !== undefined) return `${SHORT}${SHORT_OF[found]} (${found})`;
  }
  return null;
}

/** What to do about one. */
export function shortageHint(shortage: string): string {
  return shortage.endsWith(AWAY) ? AWAY_HINT : SHORT_HINT;
}
