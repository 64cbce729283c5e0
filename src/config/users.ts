import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { shortageHint, USERS_SILENT } from '../domain/shortage.ts';
import { UpkeepError } from '../protocol/errors.ts';

/** As whom an app runs. */
export interface RunAs {
  readonly uid: number | null;
  readonly gid: number | null;
  /** What tells a program who it is. */
  readonly env: Readonly<Record<string, string>>;
}

interface Wanted {
  readonly uid?: string | undefined;
  readonly gid?: string | undefined;
}

/**
 * @param wanted names or numbers. A user alone runs with the group that it has in the system.
 * @param own whose command this is.
 * @throws UpkeepError CONFIG_INVALID when the system does not know them, or does not let `own` do that.
 */
export function runAs(wanted: Wanted, own: { readonly uid: number; readonly gid: number }, where: string): RunAs {
  const found = lookUp(wanted, where);
  if (own.uid === 0 || (found.uid === null && found.gid === null)) return found;
  if ((found.uid ?? own.uid) === own.uid && (wanted.gid === undefined || found.gid === own.gid)) {
    return { uid: null, gid: null, env: {} };
  }
  throw new UpkeepError('CONFIG_INVALID', `${where}: only root may run an app as another user or group`, {
    hint: 'leave uid and gid out, or run upkeep as root',
  });
}

function lookUp({ uid, gid }: Wanted, where: string): RunAs {
  const group = gid === undefined ? null : groupNumber(gid, where);
  if (uid === undefined) return { uid: null, gid: group, env: {} };
  const [name, , number, ownGroup, , home] = find('passwd', uid);
  if (name === undefined && !isNumber(uid)) throw unknown('uid', uid, where);
  if (ownGroup === undefined && group === null) {
    throw new UpkeepError('CONFIG_INVALID', `${where}: uid: the system knows no user ${uid}, and so no group of it`, {
      hint: 'name a gid too',
    });
  }
  const user = name ?? uid;
  return {
    uid: Number(number ?? uid),
    gid: group ?? Number(ownGroup),
    env: { HOME: home || '/', USER: user, LOGNAME: user },
  };
}

function groupNumber(given: string, where: string): number {
  if (isNumber(given)) return Number(given);
  const [, , number] = find('group', given);
  if (number === undefined) throw unknown('gid', given, where);
  return Number(number);
}

/** What answers later than that does not answer. */
const ANSWER_MS = 10_000;

/** @returns the fields of the entry with that name or number; none where there is none. */
function find(database: 'passwd' | 'group', key: string): readonly (string | undefined)[] {
  const entry = ask(database, key).trimEnd();
  return entry === '' ? [] : entry.split(':');
}

function ask(database: 'passwd' | 'group', key: string): string {
  try {
    return execFileSync('getent', [database, '--', key], { encoding: 'utf8', stdio: 'pipe', timeout: ANSWER_MS });
  } catch (cause) {
    const { status, code } = cause as { status?: number | null; code?: string };
    if (status === 2) return '';
    // As on macOS.
    const isMissing = code === 'ENOENT';
    // Who is not known at the moment may be known all the same.
    if (!isMissing) throw silent(`getent ${database} ${key}: ${status ?? `${ANSWER_MS} ms`}`, cause);
    const entries = readFileSync(`/etc/${database}`, 'utf8').split('\n');
    return entries.find((entry) => [entry.split(':')[0], entry.split(':')[2]].includes(key)) ?? '';
  }
}

function silent(what: string, cause: unknown): UpkeepError {
  const message = `${USERS_SILENT} (${what})`;
  return new UpkeepError('MACHINE_SHORT', message, { cause, hint: shortageHint(message) });
}

function isNumber(given: string): boolean {
  return /^\d+$/.test(given);
}

function unknown(option: 'uid' | 'gid', given: string, where: string): UpkeepError {
  return new UpkeepError('CONFIG_INVALID', `${where}: ${option}: the system knows no "${given}"`, {
    hint: 'name one that it knows, or a number',
  });
}
