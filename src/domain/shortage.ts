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

/** @returns what the machine is short of, where an error means that: `the machine is short of memory (ENOMEM)`. */
export function shortageOf(error: unknown): string | null {
  for (let each = error; each instanceof Error; each = each.cause) {
    const { code = '', message } = each as NodeJS.ErrnoException;
    const found = Object.hasOwn(SHORT_OF, code) ? code : TOLD.find(([text]) => text.test(message))?.[1];
    if (found !== undefined) return `${SHORT}${SHORT_OF[found]} (${found})`;
  }
  return null;
}
