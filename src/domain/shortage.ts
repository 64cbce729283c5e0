/** What passes once others give back what they hold, and is no fault of the app that meets it. */
const SHORT_OF: Readonly<Record<string, string>> = {
  EAGAIN: 'processes',
  ENOMEM: 'memory',
  EMFILE: 'file descriptors',
  ENFILE: 'file descriptors',
  ENOSPC: 'disk space',
  EDQUOT: 'disk space',
  EROFS: 'a disk that can be written to',
  EIO: 'a disk that works',
};

/** As programs that are run for something tell them. */
const TOLD: readonly (readonly [RegExp, string])[] = [
  [/No space left on device/i, 'ENOSPC'],
  [/Disk quota exceeded/i, 'EDQUOT'],
  [/Too many open files in system/i, 'ENFILE'],
  [/Too many open files/i, 'EMFILE'],
  [/Cannot allocate memory/i, 'ENOMEM'],
  [/Resource temporarily unavailable/i, 'EAGAIN'],
  [/Read-only file system/i, 'EROFS'],
  [/Input\/output error/i, 'EIO'],
];

/** Stands in the reason of what failed for want of something. */
const SHORT = 'the machine is short of ';
export const SHORT_HINT = 'free it, or raise its limit (`ulimit -a`, the limits of its cgroup, the disk)';

const DISK_HINT = '`dmesg` may tell what is wrong with it; `mount -o remount,rw` lets it be written to again';

/** Stands in the reason of what failed as a file is away that is not the app's: one of upkeep's own, an interpreter. */
const AWAY = 'is not there, as while another version takes its place';
export const AWAY_HINT = 'install it again, if nothing does so by now';

/** Stands in the reason of what failed as it is not known who a user is. */
export const USERS_SILENT = 'the user database of the system does not answer';
const USERS_HINT = 'see why: sssd, or the LDAP server that it asks';

const HINTS: readonly (readonly [string, string])[] = [
  [`${SHORT}a disk`, DISK_HINT],
  [SHORT, SHORT_HINT],
  [AWAY, AWAY_HINT],
  [USERS_SILENT, USERS_HINT],
];

/** Thrown for what is no fault of the app, and passes. */
export class Shortage extends Error {}

export function away(path: string): Shortage {
  return new Shortage(`${path} ${AWAY}`);
}

/** @returns what is missing for a while, where an error means that: `the machine is short of memory (ENOMEM)`. */
export function shortageOf(error: unknown): string | null {
  for (let each = error; each instanceof Error; each = each.cause) {
    if (each instanceof Shortage) return each.message;
    const { code = '', message } = each as NodeJS.ErrnoException;
    const found = Object.hasOwn(SHORT_OF, code) ? code : TOLD.find(([text]) => text.test(message))?.[1];
    if (found !== undefined) return `${SHORT}${SHORT_OF[found]} (${found})`;
  }
  return null;
}

/** @returns what to do about a reason that is a shortage; null for any other. */
export function shortageHint(reason: string): string | null {
  return HINTS.find(([text]) => reason.includes(text))?.[1] ?? null;
}
