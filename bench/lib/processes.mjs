// What Linux tells about processes. Elsewhere there is no /proc and every list is empty.
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const GONE_LIMIT_MS = 20_000;
const TICK_MS = 10;

export const hasProc = process.platform === 'linux';

/** Processes whose environment or arguments name the home, and all below them. */
export const processesOf = (homeVariable, home) => {
  const all = snapshot();
  const entry = `${homeVariable}=${home}`;
  const found = new Set();
  for (const { pid, cmdline, environ } of all) {
    if (pid !== process.pid && (cmdline.includes(home) || environ.includes(entry))) found.add(pid);
  }
  let before;
  do {
    before = found.size;
    for (const { pid, ppid } of all) if (found.has(ppid)) found.add(pid);
  } while (found.size > before);
  return [...found];
};

const isAlive = (pid) => {
  try {
    process.kill(pid, 0);
    // One that has ended stays as a zombie until its parent, perhaps a lazy init, asks for it.
    return !hasProc || statFields(pid)[0] !== 'Z';
  } catch {
    return false;
  }
};

export const killHard = (pids) => {
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
  }
};

/** Kills what `find` finds until it finds nothing: a command under way may still have started something. */
export const killAll = async (find) => {
  for (let pids = find(); pids.length > 0; pids = find()) {
    killHard(pids);
    await untilGone(pids);
  }
};

export const untilGone = async (pids) => {
  const end = performance.now() + GONE_LIMIT_MS;
  while (pids.some(isAlive)) {
    if (performance.now() > end) throw new Error(`still running: ${pids.filter(isAlive).join(', ')}`);
    await sleep(10);
  }
};

export const commandLine = (pid) => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
  } catch {
    return '';
  }
};

/** The most memory that they ever held, in MB. */
export const peakMemory = (pids) =>
  sum(pids, (pid) => Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1024);

/** Memory that would be free again if the process ended, in MB. */
export const privateMemory = (pids) =>
  sum(pids, (pid) => {
    const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
    const kb = (key) => Number(new RegExp(`^${key}:\\s+(\\d+)`, 'm').exec(text)[1]);
    return (kb('Private_Clean') + kb('Private_Dirty')) / 1024;
  });

/**
 * CPU time used so far, in ms. stat counts in ticks of 10 ms, too coarse for an idle process, so its own threads
 * are read from schedstat (nanoseconds); stat still adds the children it has waited for.
 */
export const cpuTime = (pids) =>
  sum(pids, (pid) => {
    const [utime, stime, cutime, cstime] = statFields(pid).slice(11, 15).map(Number);
    const own = threadTime(pid) ?? (utime + stime) * TICK_MS;
    return own + (cutime + cstime) * TICK_MS;
  });

const threadTime = (pid) => {
  try {
    return sum(readdirSync(`/proc/${pid}/task`), (tid) => {
      const text = readFileSync(`/proc/${pid}/task/${tid}/schedstat`, 'utf8');
      return Number(text.split(' ')[0]) / 1e6;
    });
  } catch {
    return undefined;
  }
};

const snapshot = () => {
  if (!hasProc) return [];
  const found = [];
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const [state, ppid] = statFields(name);
      if (state === 'Z') continue;
      found.push({
        pid: Number(name),
        ppid: Number(ppid),
        cmdline: readFileSync(`/proc/${name}/cmdline`, 'utf8'),
        environ: readFileSync(`/proc/${name}/environ`, 'utf8').split('\0'),
      });
    } catch {
      // It ended meanwhile, or belongs to someone else.
    }
  }
  return found;
};

// The name, in parentheses, may hold spaces: count from behind it, so 0 is the state and 1 the parent.
const statFields = (pid) => {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return text.slice(text.lastIndexOf(')') + 2).split(' ');
};

const sum = (items, amount) => items.reduce((total, item) => total + amount(item), 0);
