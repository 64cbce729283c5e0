import { randomInt } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sendSignal } from './send-signal.ts';
import { withDescriptor } from './spare-descriptor.ts';

/** A cgroup (version 2) of one run of an instance. Nothing gets out of it by forking. */
export interface Cgroup {
  /** By which it is opened again. */
  readonly folder: string;
  readonly pids: () => number[];
  /** Whether anything that lives is in it: a list of pids may miss what forks while it is read. */
  readonly isPopulated: () => boolean;
  /** Kills all that is in it in one step, also what is being forked meanwhile. */
  readonly kill: () => void;
  /** Once it is empty; as long as something is left, at a later call for any of them. */
  readonly remove: () => void;
}

/** Of one run: the pid of the supervisor that made it, and a number. */
const OF_A_RUN = /\/upkeep-(\d+)-\d+(?=\/|$)/;

/** Where there is no `cgroup.kill` (before Linux 5.14): of what forks faster than that often, a later signal ends the rest. */
const MOST_KILL_ROUNDS = 10;

/** A supervisor with the same pid, later, makes others. */
let next = randomInt(2 ** 40);
/** Those that could not be removed yet. */
const left = new Set<string>();

/**
 * Starts a process in a cgroup of its own, where there are cgroups and this process may make one: not on macOS, in most
 * containers, and for users whose init system delegates none to them.
 *
 * A process that is moved is there once the kernel has waited for all CPUs, which takes some 10 ms.
 * @param early what is started may fork sooner than that: then this process moves, so that the new one begins there.
 */
export function startInCgroup<Child extends { readonly pid?: number | undefined }>(
  start: () => Child,
  early: boolean,
): { readonly child: Child; readonly cgroup: Cgroup | null } {
  const folder = newFolder();
  if (folder === null) return { child: start(), cgroup: null };
  const cgroup = openCgroup(folder);
  const enters = early && move(process.pid, folder);
  let whole = false;
  try {
    const child = start();
    whole = child.pid !== undefined && (enters ? leaveCgroup() : move(child.pid, folder));
    return { child, cgroup: whole ? cgroup : null };
  } finally {
    if (enters && !whole) leaveCgroup();
    if (!whole) cgroup.remove();
  }
}

/** The cgroup that a process was started in, by this or by another supervisor. */
export function cgroupOf(pid: number): Cgroup | null {
  const folder = folderOf(String(pid));
  const at = folder === null ? null : OF_A_RUN.exec(folder);
  return folder === null || at === null ? null : openCgroup(folder.slice(0, at.index + at[0].length));
}

/**
 * Of a process of upkeep that an app has started, as when it calls `upkeep`: it is no part of that app.
 * @returns whether this process is in no cgroup of a run. Else it ends with that.
 */
export function leaveCgroup(): boolean {
  const above = runsFolder();
  return above === null || folderOf('self') === above || move(process.pid, above);
}

/** The folder of the cgroup that a process is in, where the file system of cgroups is mounted. */
export function folderOf(process: string): string | null {
  try {
    // Outside of the hierarchy that this process may see, it starts with /..
    const path = /^0::(\/(?!\.\.).*)$/m.exec(readFileSync(`/proc/${process}/cgroup`, 'utf8'))?.[1];
    mount ??= findMount();
    if (path === undefined || !mount) return null;
    const { root, folder } = mount;
    if (root === '/') return join(folder, path);
    return path === root || path.startsWith(`${root}/`) ? join(folder, path.slice(root.length)) : null;
  } catch {
    return null;
  }
}

/** Of a cgroup that was removed. */
const GONE: ReadonlySet<string> = new Set(['ENOENT', 'ENODEV']);

interface Mount {
  /** The part of the hierarchy that is mounted there. */
  readonly root: string;
  readonly folder: string;
}

let mount: Mount | false | null = null;

function findMount(): Mount | false {
  // 36 35 98:0 /root /folder rw,noatime shared:1 - cgroup2 cgroup rw
  for (const line of readFileSync('/proc/self/mountinfo', 'utf8').split('\n')) {
    const [before = '', after = ''] = line.split(' - ');
    const [, , , root, folder] = before.split(' ');
    if (after.startsWith('cgroup2 ') && root && folder) return { root, folder };
  }
  return false;
}

let runs: string | null | undefined;

/** Where cgroups of runs are made: in the one of this process. */
function runsFolder(): string | null {
  if (runs !== undefined) return runs;
  const own = folderOf('self');
  const at = own === null ? null : OF_A_RUN.exec(own);
  runs = own !== null && at ? own.slice(0, at.index) : own;
  if (runs !== null) sweep(runs);
  return runs;
}

function newFolder(): string | null {
  const above = runsFolder();
  const folder = join(above ?? '', `upkeep-${process.pid}-${next++}`);
  return above !== null && succeeds(() => mkdirSync(folder)) ? folder : null;
}

/** Removes what supervisors that are gone have left, where nothing is in it. */
function sweep(folder: string): void {
  succeeds(() => {
    for (const entry of readdirSync(folder)) {
      const pid = OF_A_RUN.exec(`/${entry}`)?.[1];
      if (pid !== undefined && !isThere(Number(pid))) succeeds(() => rmdirSync(join(folder, entry)));
    }
  });
}

function isThere(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

export function openCgroup(folder: string): Cgroup {
  return {
    folder,
    pids: () => pidsIn(folder),
    isPopulated: () => isPopulated(folder),
    kill: () => {
      if (succeeds(() => writeFileSync(join(folder, 'cgroup.kill'), '1'))) return;
      for (let round = 0, pids = pidsIn(folder); round < MOST_KILL_ROUNDS && pids.length > 0; round++) {
        for (const pid of pids) sendSignal(pid, 'SIGKILL');
        pids = pidsIn(folder);
      }
    },
    remove: () => {
      left.add(folder);
      for (const each of left) if (remove(each)) left.delete(each);
    },
  };
}

function move(pid: number, folder: string): boolean {
  return succeeds(() => writeFileSync(join(folder, 'cgroup.procs'), String(pid)));
}

function isPopulated(folder: string): boolean {
  try {
    return /^populated 1$/m.test(withDescriptor(() => readFileSync(join(folder, 'cgroup.events'), 'latin1')));
  } catch (error) {
    return !GONE.has((error as NodeJS.ErrnoException).code ?? '');
  }
}

/** An app may have made more of them below. */
function pidsIn(folder: string): number[] {
  try {
    const procs = withDescriptor(() => readFileSync(join(folder, 'cgroup.procs'), 'latin1'));
    const own = procs.split('\n').map(Number);
    return [...own.filter((pid) => pid > 0), ...foldersIn(folder).flatMap(pidsIn)];
  } catch {
    return [];
  }
}

function remove(folder: string): boolean {
  try {
    for (const below of foldersIn(folder)) remove(below);
    rmdirSync(folder);
    return true;
  } catch (error) {
    return GONE.has((error as NodeJS.ErrnoException).code ?? '');
  }
}

function foldersIn(folder: string): string[] {
  const entries = withDescriptor(() => readdirSync(folder, { withFileTypes: true }));
  return entries.flatMap((entry) => (entry.isDirectory() ? join(folder, entry.name) : []));
}

/** Cgroups are an aid: where something cannot be done, the tree is found by other means. */
function succeeds(action: () => void): boolean {
  try {
    withDescriptor(action);
    return true;
  } catch {
    return false;
  }
}
