import { spawnSync } from 'node:child_process';
import { closeSync, openSync, readdirSync, readSync } from 'node:fs';
import type { ProcessStat } from '../supervisor/ports.ts';
import { withDescriptor } from './spare-descriptor.ts';

/** Linux fixes both for user space, on every architecture that Node runs on. */
const TICK_MS = 10;
const PAGE_BYTES = 4096;

/** ESRCH: it ended between open and read. The others: it is another user's, and /proc hides it. */
const GONE: ReadonlySet<string> = new Set(['ENOENT', 'ESRCH', 'EACCES', 'EPERM']);

const linux = process.platform === 'linux';

/**
 * @returns null when there is no such process.
 * @throws Error where that cannot be told.
 */
export function readProcess(pid: number): ProcessStat | null {
  return linux ? readProcStat(pid) : (runPs(['-p', String(pid)])[0] ?? null);
}

/** Those that are gone, or cannot be looked at, are left out. */
export function readProcesses(pids: readonly number[]): readonly ProcessStat[] {
  try {
    if (linux) return pids.flatMap((pid) => readProcStat(pid) ?? []);
    return pids.length === 0 ? [] : runPs(['-p', pids.join(',')]);
  } catch {
    return [];
  }
}

/** @param except may be left out. */
export function readAllProcesses(except: ReadonlySet<number> = new Set()): readonly ProcessStat[] {
  if (!linux) return runPs(['-A']);
  const pids = withDescriptor(() => readdirSync('/proc')).filter((entry) => /^\d+$/.test(entry));
  return pids.map(Number).flatMap((pid) => (except.has(pid) ? [] : (readProcStat(pid) ?? [])));
}

/** The pid that was given last, or something like it; always the same where that cannot be told. */
export function newestPid(): number {
  try {
    // 0.20 0.18 0.12 1/80 11206
    return Number(
      withDescriptor(() => readLine('/proc/loadavg'))
        .trimEnd()
        .split(' ')
        .at(-1),
    );
  } catch {
    return 0;
  }
}

function readProcStat(pid: number): ProcessStat | null {
  let text: string;
  try {
    text = withDescriptor(() => readLine(`/proc/${pid}/stat`));
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (GONE.has(code)) return null;
    throw error;
  }
  // The name, in parentheses, may itself hold spaces and parentheses: the fields count from the last one.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const number = (index: number): number => Number(fields[index]);
  return {
    pid,
    ppid: number(1),
    group: number(2),
    zombie: fields[0] === 'Z' || fields[0] === 'X',
    startTime: fields[19] ?? '',
    cpuMs: (number(11) + number(12)) * TICK_MS,
    rssBytes: number(21) * PAGE_BYTES,
  };
}

/** Some fifty numbers, and a name of 64 bytes at most. */
const line = Buffer.allocUnsafeSlow(4096);

/** As readFileSync() takes 64 KiB for each file of unknown length, which adds up where many processes are looked at. */
function readLine(path: string): string {
  const fd = openSync(path, 'r');
  try {
    return line.toString('latin1', 0, readSync(fd, line, 0, line.length, 0));
  } finally {
    closeSync(fd);
  }
}

/** For macOS: one `ps` for any number of processes. */
function runPs(which: readonly string[]): ProcessStat[] {
  const args = [...which, '-o', 'pid=,ppid=,pgid=,stat=,rss=,time=,lstart='];
  const { stdout, error } = spawnSync('/bin/ps', args, { encoding: 'utf8', env: { LC_ALL: 'C' }, timeout: 5000 });
  if (error) throw error;
  return stdout.split('\n').flatMap((line) => {
    const match = /^\s*(\d+)\s+(\d+)\s+(\d+)\s+(\S+)\s+(\d+)\s+(\S+)\s+(.+?)\s*$/.exec(line);
    if (!match) return [];
    const [, pid, ppid, group, stat = '', rss, time = '', startTime = ''] = match;
    return {
      pid: Number(pid),
      ppid: Number(ppid),
      group: Number(group),
      zombie: stat.startsWith('Z'),
      startTime,
      cpuMs: time.split(/[:-]/).reduce((total, part) => total * 60 + Number(part), 0) * 1000,
      rssBytes: Number(rss) * 1024,
    };
  });
}
