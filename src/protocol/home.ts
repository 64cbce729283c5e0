import { existsSync, mkdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { UpkeepError } from './errors.ts';
import { closeHome } from './own-home.ts';

/** Where everything of one user's upkeep lives. Folders are 0700, files and sockets 0600. */
export interface Home {
  readonly root: string;
  /** Sockets, locks and log pipes: worthless after a reboot. */
  readonly run: string;
  readonly logs: string;
  /** Compiled code of the command line. */
  readonly cache: string;
  readonly daemonSocket: string;
  readonly daemonLock: string;
  readonly daemonLog: string;
  readonly state: string;
  /** What `save` keeps. */
  readonly dump: string;
  /** What `list` shows; see status-file.ts. */
  readonly status: string;
  /** Which start of the machine a daemon last ran in. */
  readonly booted: string;
}

/** sun_path holds 108 bytes on Linux and 104 on macOS, the ending zero included. */
const SOCKET_PATH_MAX = 103;
const LONGEST_SOCKET_NAME = 'run/supervisor-0000000000.sock'.length + 1;

/**
 * @param env `UPKEEP_HOME`, else `HOME`/.upkeep.
 * @throws UpkeepError HOME_UNUSABLE when sockets could not be made there.
 */
export function resolveHome(env: Readonly<Record<string, string | undefined>>): Home {
  const root = env['UPKEEP_HOME'] || join(env['HOME'] || '/', '.upkeep');
  if (!root.startsWith('/')) {
    throw new UpkeepError('HOME_UNUSABLE', `UPKEEP_HOME must be an absolute path, got "${root}"`);
  }
  if (Buffer.byteLength(root) + LONGEST_SOCKET_NAME > SOCKET_PATH_MAX) {
    const most = SOCKET_PATH_MAX - LONGEST_SOCKET_NAME;
    throw new UpkeepError('HOME_UNUSABLE', `UPKEEP_HOME may have at most ${most} bytes, as it holds sockets: ${root}`);
  }
  const run = join(root, 'run');
  return {
    root,
    run,
    logs: join(root, 'logs'),
    cache: join(root, 'cache'),
    daemonSocket: join(run, 'daemon.sock'),
    daemonLock: join(run, 'daemon.lock'),
    daemonLog: join(root, 'daemon.log'),
    state: join(root, 'state.json'),
    dump: join(root, 'dump.json'),
    status: join(run, 'status.json'),
    booted: join(run, 'booted'),
  };
}

/** The key of the supervisor of all fork-mode apps. */
export const SHARED_SUPERVISOR = 'shared';

/** The socket of a supervisor: `shared` for fork-mode apps, or the key of a cluster-mode app. */
export function supervisorSocket(home: Home, key: string): string {
  return join(home.run, `supervisor-${key}.sock`);
}

/** What the next supervisor must know. */
export function supervisorLedger(home: Home, key: string): string {
  return join(home.run, `supervisor-${key}.ledger`);
}

/** Where apps find the next supervisor. */
export function attachSocket(home: Home, key: string): string {
  return join(home.run, `attach-${key}.sock`);
}

/** Where those find it that may not enter the home. */
export function attachDoor(home: Home, key: string): string {
  return join(home.run, `attach-${key}`);
}

export function supervisorLock(home: Home, key: string): string {
  return join(home.run, `supervisor-${key}.lock`);
}

/**
 * Makes the folders that are missing, for the owner only.
 * @returns what had to be changed so that nobody else gets in, or null.
 * @throws UpkeepError HOME_UNUSABLE.
 */
export function makeHome(home: Home): string | null {
  const changed = closeHome(home);
  try {
    for (const folder of [home.root, home.run, home.logs]) makeFolder(folder);
    return changed;
  } catch (cause) {
    throw new UpkeepError('HOME_UNUSABLE', `cannot make ${home.root}: ${(cause as Error).message}`, { cause });
  }
}

/** With all above it that is missing. One by one: `recursive` never returns for a folder in /proc on Node 20. */
export function makeFolder(folder: string): void {
  if (existsSync(folder)) {
    if (!statSync(folder).isDirectory()) throw new Error(`${folder} is no folder`);
    return;
  }
  makeFolder(dirname(folder));
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    // Another command was faster.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}
