import { readdirSync, readFileSync, readlinkSync, realpathSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Home } from './home.ts';

/** What tells that something of a home runs, or has been left there, also where its files are gone. */
export interface Marks {
  /** Daemons that live. */
  readonly daemons: readonly number[];
  /** Supervisors that live, by key. */
  readonly supervisors: ReadonlyMap<string, number>;
  /** Keys of supervisors that have left a socket, or what another one can go on with. */
  readonly left: ReadonlySet<string>;
  /** Keys of supervisors by whose log pipes a process is known, whatever has become of the pipes. */
  readonly piped: ReadonlySet<string>;
}

/** Where there is no /proc, by files alone. This process is left out. */
export function readMarks(home: Home): Marks {
  const daemons: number[] = [];
  const supervisors = new Map<string, number>();
  const own = process.geteuid?.();
  for (const pid of pids()) {
    const title = read(`/proc/${pid}/cmdline`);
    const [, role, key = ''] = /^upkeep (daemon|supervisor (\w+)) /.exec(title) ?? [];
    // Anybody may give himself a title.
    if (role !== undefined && title === `upkeep ${role} ${home.root}` && statSync(`/proc/${pid}`, QUIET)?.uid === own) {
      if (role === 'daemon') daemons.push(Number(pid));
      else supervisors.set(key, Number(pid));
    }
  }
  const piped = heldPipes(home.run).flatMap(({ path }) => /\/(\w+)\.\d+\.fifo$/.exec(path)?.[1] ?? []);
  const left = list(home.run).flatMap((entry) => /^supervisor-(\w+)\.(?:sock|ledger)$/.exec(entry)?.[1] ?? []);
  return { daemons, supervisors, left: new Set(left), piped: new Set(piped) };
}

/** A log pipe, who has it, and where it can be opened, whatever has become of its name. */
export interface HeldPipe {
  readonly pid: string;
  readonly path: string;
  readonly held: string;
}

/** The log pipes in a folder that processes have as their stdout or stderr. */
export function heldPipes(folder: string): readonly HeldPipe[] {
  const real = realFolder(folder);
  return pids().flatMap((pid) =>
    [`/proc/${pid}/fd/1`, `/proc/${pid}/fd/2`].flatMap((held) => {
      const path = target(held).replace(/ \(deleted\)$/, '');
      return dirname(path) === real && path.endsWith('.fifo') ? { pid, path: join(folder, basename(path)), held } : [];
    }),
  );
}

/** Where a folder is, or was, once all links are followed: the home may be reached by one. */
function realFolder(folder: string): string {
  try {
    return realpathSync(folder);
  } catch {
    const above = dirname(folder);
    return above === folder ? folder : join(realFolder(above), basename(folder));
  }
}

function pids(): readonly string[] {
  return list('/proc').filter((entry) => /^\d+$/.test(entry) && Number(entry) !== process.pid);
}

const QUIET = { throwIfNoEntry: false } as const;

function list(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** The arguments of a process, one that has ended and was not reaped has none. */
function read(path: string): string {
  try {
    return readFileSync(path, 'utf8').replace(/\0[^]*$/, '');
  } catch {
    return '';
  }
}

function target(link: string): string {
  try {
    return readlinkSync(link);
  } catch {
    return '';
  }
}
