import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import type { TestContext } from 'node:test';
import type { InstanceView } from '../../src/protocol/messages.ts';
import { fixture, NODE, type Result } from './harness.ts';
import { until } from './until.ts';

const SYSTEMD = '/lib/systemd/systemd';
const COMMAND_LIMIT_MS = 60_000;
const POWER_OFF_MS = 30_000;
/** What systemd takes for "power off at once", as a container manager sends it. */
const SIGRTMIN_4 = 38;
/** Not of use, or not possible, in a machine without devices. */
const MASKED = ['getty.target', 'systemd-udevd.service', 'systemd-udev-trigger.service', 'systemd-binfmt.service'];

/** As the first process of the machine, in namespaces of its own. DISK, CGROUP are given. */
const FIRST_PROCESS = `
  echo 0 >"$CGROUP/cgroup.procs"
  exec unshare --cgroup sh -ec '
    ip link set lo up
    mount -t overlay overlay -o "lowerdir=/,upperdir=$DISK/upper,workdir=$DISK/work" "$DISK/root"
    cd "$DISK/root"
    mount --bind "$DISK/units" etc/systemd/system
    mount -t proc proc proc
    mount -t sysfs sysfs sys
    mount -t cgroup2 cgroup2 sys/fs/cgroup
    mount -t tmpfs -o mode=755 tmpfs run
    mount -t tmpfs tmpfs tmp
    mount -t tmpfs -o mode=755 tmpfs dev
    for node in null zero full random urandom tty; do
      touch "dev/$node"
      mount --bind "/dev/$node" "dev/$node"
    done
    mkdir run/lock dev/pts dev/shm
    mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
    ln -s pts/ptmx dev/ptmx
    ln -s /proc/self/fd dev/fd
    mkdir -p old-root
    pivot_root . old-root
    umount -l /old-root
    exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin ${SYSTEMD} --system --unit=multi-user.target
  '`;

/** @returns why no machine can be booted here, or false. */
export function cannotBoot(): string | false {
  if (process.platform !== 'linux') return 'needs Linux';
  if (process.getuid?.() !== 0) return 'needs root';
  if (!existsSync(SYSTEMD)) return 'needs systemd to be installed';
  if (cgroupMount() === null) return 'needs cgroup v2';
  const missing = ['unshare', 'nsenter', 'setpriv', 'useradd', 'ip'].filter(
    (name) => spawnSync(name, ['--help']).error,
  );
  if (missing.length > 0) return `needs ${missing.join(', ')}`;
  const folder = mkdtempSync(join(tmpdir(), 'uk-'));
  try {
    const script = 'mkdir u w r && mount -t overlay overlay -o lowerdir=/,upperdir=u,workdir=w r';
    const { status } = spawnSync('unshare', ['-muinpC', '--fork', 'sh', '-ec', script], { cwd: folder });
    return status === 0 ? false : 'namespaces or overlays are not permitted here';
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * A machine with systemd as its first process: namespaces over an overlay of this one's files. It has Node.js and upkeep in
 * /opt/node-a, as a version manager would install them, and a user `me` who has that on PATH.
 */
type User = 'root' | 'me';

interface BootedMachine {
  /** Its files that differ from this machine's. They stay from boot to boot. */
  readonly disk: string;
  readonly boot: () => Promise<void>;
  readonly powerOff: () => Promise<void>;
  /** Runs a shell command, as root or as `me`. */
  readonly sh: (command: string, user?: User) => Promise<Result>;
  /** The same, and it must succeed. @returns its stdout. */
  readonly ok: (command: string, user?: User) => Promise<string>;
}

async function bootedMachine(t: TestContext): Promise<BootedMachine> {
  const folder = mkdtempSync(join(tmpdir(), 'uk-boot-'));
  chmodSync(folder, 0o755);
  const cgroup = join(cgroupMount() ?? '', basename(folder));
  const disk = join(folder, 'upper');
  for (const name of ['upper/opt', 'upper/srv', 'work', 'root', 'units'])
    mkdirSync(join(folder, name), { recursive: true });
  mkdirSync(cgroup);
  for (const unit of MASKED) symlinkSync('/dev/null', join(folder, 'units', unit));
  install(join(disk, 'opt/node-a'));
  let first: { readonly child: ChildProcess; readonly pid: number } | null = null;

  const sh = (command: string, user: User = 'root'): Promise<Result> => {
    const who =
      user === 'root'
        ? ['env', '-i', 'HOME=/root']
        : ['setpriv', '--reuid=me', '--regid=me', '--init-groups', 'env', '-i', 'HOME=/home/me', 'USER=me'];
    const path = 'PATH=/opt/node-a/bin:/opt/node-b/bin:/usr/sbin:/usr/bin:/sbin:/bin';
    const args = ['-t', String(first?.pid), '-a', ...who, path, 'NO_COLOR=1', 'sh', '-c', `cd / && ${command}`];
    return new Promise((resolve) => {
      const child = execFile(
        'nsenter',
        args,
        { timeout: COMMAND_LIMIT_MS, killSignal: 'SIGKILL' },
        (_error, stdout, stderr) => resolve({ code: child.exitCode, stdout, stderr }),
      );
    });
  };
  const ok = async (command: string, user?: User): Promise<string> => {
    const { code, stdout, stderr } = await sh(command, user);
    assert.equal(code, 0, `${command}\n${stdout}${stderr}`);
    return stdout;
  };
  const boot = async (): Promise<void> => {
    const env = { ...process.env, DISK: folder, CGROUP: cgroup };
    const unshare = ['unshare', '-muinp', '--fork', '--kill-child', '--propagation', 'private'];
    // Ends with this process, should that be killed.
    const args = ['--pdeathsig', 'KILL', ...unshare, 'sh', '-ec', FIRST_PROCESS];
    const child = spawn('setpriv', args, { env, stdio: 'ignore', detached: true });
    const pid = await until(
      () => childOf(child.pid ?? 0),
      'systemd',
      () => `unshare ended with ${child.exitCode}`,
    );
    first = { child, pid };
    const state = async () => (await sh('systemctl is-system-running')).stdout.trim();
    await until(async () => ['running', 'degraded'].includes(await state()), 'the end of the boot', state);
  };
  const powerOff = async (): Promise<void> => {
    if (first === null) return;
    const { child, pid } = first;
    first = null;
    const ended = once(child, 'exit');
    process.kill(pid, SIGRTMIN_4);
    const timer = setTimeout(() => process.kill(pid, 'SIGKILL'), POWER_OFF_MS);
    const [, signal] = await ended;
    clearTimeout(timer);
    assert.notEqual(signal, 'SIGKILL', `the machine was still on after ${POWER_OFF_MS} ms`);
  };
  t.after(async () => {
    try {
      await powerOff();
    } finally {
      removeCgroup(cgroup);
      rmSync(folder, { recursive: true, force: true });
    }
  });
  await boot();
  await ok('useradd --create-home --shell /bin/bash me');
  // Where nvm puts its line: after the lines that end the file for shells that are not interactive.
  await ok("echo 'PATH=$(echo /opt/node-*/bin):$PATH' >>/home/me/.bashrc");
  return { disk, boot, powerOff, sh, ok };
}

/** A machine on which a user has started one app in fork mode, `job`, and one as a cluster, `web`. */
export async function machineWithApps(t: TestContext, user: User) {
  const machine = await bootedMachine(t);
  const { ok, sh, disk } = machine;
  for (const name of ['logs-signals.js', 'http-hello.js']) cpSync(fixture(name), join(disk, 'srv', name));
  await ok('upkeep start /srv/logs-signals.js --name job', user);
  await ok('PORT=8080 upkeep start /srv/http-hello.js --name web -i 2', user);
  return {
    ...machine,
    /** A line for each instance. */
    list: async (): Promise<string> => {
      const rows = JSON.parse(await ok('upkeep list --json', user)) as readonly InstanceView[];
      return rows.map(({ id, name, pid, state }) => `${id} ${name} ${pid} ${state.kind}`).join('\n');
    },
    /** Whether the daemon is the main process of a unit. */
    isMain: async (unit: string): Promise<boolean> =>
      (await sh('upkeep pid', user)).stdout === (await ok(`systemctl show -P MainPID ${unit}`)),
    /** Those that have a text in their command line, as files of /proc. */
    processes: async (text: string): Promise<string> =>
      // The brackets keep the command itself from being found.
      (await sh(`grep -ls '[${text[0]}]${text.slice(1)}' /proc/[0-9]*/cmdline`)).stdout,
  };
}

/** As `npm install -g` does it. */
function install(prefix: string): void {
  const modules = join(prefix, 'lib/node_modules/upkeep');
  mkdirSync(join(prefix, 'bin'), { recursive: true });
  cpSync(NODE, join(prefix, 'bin/node'), { dereference: true });
  cpSync(join(process.cwd(), 'dist'), join(modules, 'dist'), { recursive: true });
  writeFileSync(join(modules, 'package.json'), '{}');
  symlinkSync('../lib/node_modules/upkeep/dist/upkeep.cjs', join(prefix, 'bin/upkeep'));
}

function cgroupMount(): string | null {
  const mounts = readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' '));
  return mounts.find(([, , type]) => type === 'cgroup2')?.[1] ?? null;
}

/** @returns the child once it is systemd, which it becomes by exec. */
function childOf(pid: number): number | null {
  const children = readOr(`/proc/${pid}/task/${pid}/children`).split(' ').map(Number).filter(Boolean);
  return children.find((child) => readOr(`/proc/${child}/comm`) === 'systemd\n') ?? null;
}

function readOr(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function removeCgroup(path: string): void {
  for (const entry of readdirSync(path, { withFileTypes: true }))
    if (entry.isDirectory()) removeCgroup(join(path, entry.name));
  rmdirSync(path);
}
