// node run-folder-guard.mjs FOLDER: waits for the end of its stdin, then ends what belongs to FOLDER, and removes it.
import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const LIMIT_MS = 20_000;
const [folder] = process.argv.slice(2);
const runner = process.ppid;

// Whoever read this may be gone, too.
process.stderr.on('error', () => {});
process.stdin.resume();
process.stdin.once('close', async () => {
  const told = new Set();
  const end = Date.now() + LIMIT_MS;
  // Again and again: what is being started meanwhile belongs there, too.
  for (let left = belonging(); left.length > 0 && Date.now() < end; left = belonging()) {
    for (const { pid, command } of left) {
      if (!told.has(pid)) console.error(`left by the run, and ended: ${pid} ${command}`);
      told.add(pid);
      kill(pid);
    }
    await sleep(20);
  }
  for (const mount of mounts()) spawnSync('umount', ['--lazy', mount]);
  // Tests that write much do that in memory, below a folder of the same name.
  for (const each of [folder, join('/dev/shm', basename(folder))])
    rmSync(each, { recursive: true, force: true, maxRetries: 5 });
});

function kill(pid) {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}

/** Processes that name the folder, or work in it, and all that these have started. */
function belonging() {
  const all = processes();
  const found = new Map(all.filter(({ names }) => names.includes(folder)).map((process) => [process.pid, process]));
  const cgroups = new Set([...found.values()].flatMap(({ cgroup }) => cgroup ?? []));
  for (let before = -1; before < found.size; ) {
    before = found.size;
    for (const process of all)
      if (found.has(process.ppid) || cgroups.has(process.cgroup)) found.set(process.pid, process);
  }
  return [...found.values()];
}

function processes() {
  const others = ({ pid }) => pid !== process.pid && pid !== runner;
  return (process.platform === 'linux' ? ofProc() : ofPs()).filter(others);
}

function ofProc() {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      const stat = read(pid, 'stat');
      const [state, ppid] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      // One that has ended stays until its parent asks for it.
      if (stat === '' || state === 'Z') return [];
      const command = read(pid, 'cmdline').replaceAll('\0', ' ');
      const names = [command, read(pid, 'environ'), link(pid, 'cwd'), link(pid, 'exe'), ...descriptors(pid)].join('\0');
      // The cgroup of one run of an app holds what has thrown away everything else.
      const cgroup = /^0::(.*\/upkeep-\d+-\d+)/m.exec(read(pid, 'cgroup'))?.[1];
      return [{ pid: Number(pid), ppid: Number(ppid), command, names, cgroup }];
    });
}

/** Where there is no /proc: macOS, whose `ps` shows environments by -E. */
function ofPs() {
  const lines = execFileSync('ps', ['-axEww', '-o', 'pid=,ppid=,command='], { encoding: 'utf8', maxBuffer: 2 ** 26 });
  return [...lines.matchAll(/^ *(\d+) +(\d+) (.*)$/gm)].map(([, pid, ppid, names]) => ({
    pid: Number(pid),
    ppid: Number(ppid),
    command: names.slice(0, 200),
    names,
  }));
}

function read(pid, file) {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'latin1');
  } catch {
    return '';
  }
}

function link(pid, file) {
  try {
    return readlinkSync(`/proc/${pid}/${file}`);
  } catch {
    return '';
  }
}

function descriptors(pid) {
  try {
    return readdirSync(`/proc/${pid}/fd`).map((fd) => link(pid, `fd/${fd}`));
  } catch {
    return [];
  }
}

/** What is mounted below the folder, innermost first. */
function mounts() {
  if (process.platform !== 'linux') return [];
  return readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '')
    .filter((mount) => mount.startsWith(`${folder}/`))
    .toReversed();
}
