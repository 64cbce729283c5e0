import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { type Sandbox, sandbox } from '../e2e/harness.ts';
import { commandLine, processesWith } from '../e2e/processes.ts';
import { until } from '../e2e/until.ts';

/** What makes a machine short of something, for one process at a time. */

const isThere = (program: string): boolean => {
  try {
    execFileSync(program, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
};

const onLinux = process.platform === 'linux' ? false : 'needs Linux';

export const withPrlimit: { readonly skip: string | false } = {
  skip: onLinux || (isThere('prlimit') ? false : 'needs prlimit, of util-linux'),
};
export const withStrace: { readonly skip: string | false } = {
  skip: onLinux || (isThere('strace') ? false : 'needs strace'),
};

/**
 * Takes all descriptors that a process may have, by connections to its socket.
 * @returns what gives them back.
 */
export async function takeDescriptors(box: PressureBox, pid: number, socketPath: string): Promise<() => void> {
  const limits = readFileSync(`/proc/${pid}/limits`, 'utf8');
  const [, soft, hard] = /^Max open files\s+(\S+)\s+(\S+)/m.exec(limits) ?? [];
  const set = (limit: number | string) =>
    execFileSync('prlimit', ['--pid', String(pid), `--nofile=${limit}:${hard}`], { stdio: 'ignore' });
  set(Math.max(...readdirSync(`/proc/${pid}/fd`).map(Number)) + 1);
  const sockets: Socket[] = [];
  const giveBack = (): void => {
    for (const socket of sockets.splice(0)) socket.destroy();
    try {
      set(String(soft));
    } catch {
      // It has ended.
    }
  };
  box.atEnd(giveBack);
  for (let isGreeted = true; isGreeted; ) {
    const socket = connect(socketPath);
    socket.on('error', () => {});
    sockets.push(socket);
    isGreeted = await new Promise<boolean>((resolve) => {
      socket.once('data', () => resolve(true));
      socket.once('close', () => resolve(false));
    });
  }
  return giveBack;
}

/**
 * Makes system calls of a process fail, or take long: `EAGAIN`, or as strace calls it: `delay_enter=5000000`.
 * @returns what ends that.
 */
export async function inject(box: PressureBox, pid: number, calls: string, what: string): Promise<() => Promise<void>> {
  const fault = /^E[A-Z]+$/.test(what) ? `error=${what}` : what;
  const args = ['-f', '-qq', '-o', '/dev/null', '-e', `trace=${calls}`, '-e', `inject=${calls}:${fault}`];
  const strace = spawn('strace', [...args, '-p', String(pid)], { stdio: ['ignore', 'ignore', 'pipe'] });
  let words = '';
  strace.stderr.on('data', (chunk: Buffer) => {
    words += String(chunk);
  });
  const ended = once(strace, 'exit');
  const stop = async (): Promise<void> => {
    strace.kill('SIGINT');
    await ended;
  };
  box.atEnd(stop);
  const threads = () => readdirSync(`/proc/${pid}/task`);
  const isTraced = (thread: string) =>
    /^TracerPid:\t[1-9]/m.test(readFileSync(`/proc/${pid}/task/${thread}/status`, 'utf8'));
  await until(
    () => threads().every(isTraced),
    `strace of process ${pid}`,
    () => words,
  );
  return stop;
}

/** What starts a process; threads are started by another call. */
export const FORKS = 'clone,fork,vfork';

export interface PressureBox extends Sandbox {
  readonly daemonSocket: string;
  readonly sharedSupervisor: () => number;
  /** Of the only one. */
  readonly supervisorSocket: () => string;
  readonly daemonLog: () => string;
  /** Before the sandbox ends, which must find nothing that holds it up. */
  readonly atEnd: (relieve: () => unknown) => void;
}

export async function pressureBox(t: TestContext): Promise<PressureBox> {
  const reliefs: (() => unknown)[] = [];
  t.after(() => Promise.all(reliefs.map((relieve) => relieve())));
  const box = await sandbox(t);
  const run = join(box.home, 'run');
  return {
    ...box,
    daemonSocket: join(run, 'daemon.sock'),
    sharedSupervisor: () => {
      const pid = box.supervisors().find((pid) => commandLine(pid).startsWith('upkeep supervisor shared'));
      if (pid === undefined) throw new Error('there is no shared supervisor');
      return pid;
    },
    supervisorSocket: () => {
      const [name = '', ...others] = readdirSync(run).filter((entry) => /^supervisor-.*\.sock$/.test(entry));
      if (others.length > 0) throw new Error(`there are more supervisors than ${name}`);
      return join(run, name);
    },
    daemonLog: () => readFileSync(join(box.home, 'daemon.log'), 'utf8'),
    atEnd: (relieve) => reliefs.push(relieve),
  };
}

/** The daemon that runs for a sandbox, without asking it. */
export function daemonOf(box: Sandbox): number {
  const pid = processesWith(box.home).find((pid) => commandLine(pid).startsWith('upkeep daemon '));
  if (pid === undefined) throw new Error('there is no daemon');
  return pid;
}
