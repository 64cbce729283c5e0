/**
 * The supervisor process: `supervisor.cjs HOME KEY`. KEY is `shared` for all fork-mode apps, or names the one
 * cluster-mode app, and then this is run by the app's own Node.js, as the primary of its cluster.
 */
import { execFile, spawn } from 'node:child_process';
import { join } from 'node:path';
import { logStore } from '../logs/capture.ts';
import { AttachServer } from '../platform/attach-server.ts';
import { bootstrapFile } from '../platform/bootstrap-file.ts';
import { leaveCgroup } from '../platform/cgroups.ts';
import { systemClock } from '../platform/clock.ts';
import { clusterLauncher } from '../platform/cluster-launcher.ts';
import { forkLauncher } from '../platform/fork-launcher.ts';
import { closeInherited } from '../platform/inherited-descriptors.ts';
import { fileLedger } from '../platform/ledger.ts';
import { acquireLock, lockHolder } from '../platform/lock.ts';
import { endHolders } from '../platform/orphans.ts';
import { keepOwnFiles, type OwnFiles } from '../platform/own-files.ts';
import { pidFiles } from '../platform/pid-files.ts';
import { portOwner } from '../platform/port-owner.ts';
import { prober } from '../platform/probes.ts';
import { readProcess, readProcesses } from '../platform/process-table.ts';
import { sendSignal } from '../platform/send-signal.ts';
import {
  attachDoor,
  attachSocket,
  makeHome,
  resolveHome,
  SHARED_SUPERVISOR,
  supervisorLedger,
  supervisorLock,
  supervisorSocket,
} from '../protocol/home.ts';
import { readMarks } from '../protocol/marks.ts';
import { removeQuietly } from '../protocol/remove-quietly.ts';
import { VERSION } from '../protocol/version.ts';
import { type SupervisorServer, serveSupervisor } from '../supervisor/server.ts';
import { Supervisor } from '../supervisor/supervisor.ts';

/** A daemon that is gone may be so because all of upkeep is told to end: this process is told, too, within this time. */
const REVIVE_AFTER_MS = 20;

/** Until a daemon that was started connects, this long is waited before the next try. */
const REVIVE_AGAIN_MS = 3000;

/** It limits itself to less. */
const STACK_MS = 5000;

closeInherited();
const [root = '', key = ''] = process.argv.slice(2);
const home = resolveHome({ UPKEEP_HOME: root });
// As with pm2, for programs that move logs away; and from a daemon that misses the files of this process.
process.on('SIGUSR2', () => {
  supervisor.reopenLogs();
  files?.look();
});
process.title = `upkeep supervisor ${key} ${root}`;
// Cluster workers would inherit it all; each gets its own environment instead.
for (const name of Object.keys(process.env)) delete process.env[name];
leaveCgroup();
// A signal meant for a terminal's process group must not take the apps along.
for (const signal of ['SIGINT', 'SIGHUP'] as const) process.on(signal, () => {});
// A machine that goes down sends it to all.
process.on('SIGTERM', () => void serving.then((server) => server.terminate()));

// A bug, or a disk that is read-only, ends this process; the daemon tries again.
process.on('uncaughtExceptionMonitor', (error) => process.send?.(error.message));
const lockPath = supervisorLock(home, key);
const runsAlready = (holder: number): never => {
  console.error(`supervisor ${key} runs already, as process ${holder}`);
  process.exit(0);
};
// One that lives holds the lock, if the lock was not taken away: then it makes it again.
const other = lockHolder(lockPath) === null ? readMarks(home).supervisors.get(key) : undefined;
if (other !== undefined && sendSignal(other, 'SIGUSR2')) runsAlready(other);
const holder = acquireLock(lockPath);
if (holder !== null) runsAlready(holder);

const complain = (line: string): void =>
  console.error(`${new Date().toISOString()} supervisor ${key} [${process.pid}] ${line}`);
const bootstrap = bootstrapFile(join(__dirname, 'bootstrap.cjs'), home.run);
const attachPath = attachSocket(home, key);
const doorPath = attachDoor(home, key);
const ledgerPath = supervisorLedger(home, key);
const ledger = fileLedger(ledgerPath);
let files: OwnFiles | null = null;
const attachServer = new AttachServer(attachPath, doorPath);
const launcher = key === SHARED_SUPERVISOR ? forkLauncher : clusterLauncher;
let broadcast: (event: string, data: unknown) => void = () => {};
const supervisor = new Supervisor(
  {
    clock: systemClock,
    chance: Math.random,
    launcher: launcher(bootstrap, attachServer, { socket: attachPath, ledger: ledgerPath }),
    logs: logStore(home.run, key, endHolders),
    pidFiles: pidFiles(complain),
    ledger,
    complain,
    portOwner: (port) => portOwner(port, root),
    prober,
    blockedStack: (pid) =>
      new Promise<readonly string[]>((resolve) => {
        const command = [join(__dirname, 'stack.cjs'), String(pid), readProcess(pid)?.startTime ?? ''];
        execFile(process.execPath, command, { timeout: STACK_MS, env: {} }, (error, stdout) => {
          resolve(error ? [] : stdout.split('\n').slice(0, -1));
        });
      }).catch(() => []),
    memoryOf: (pids) => new Map(readProcesses(pids).map(({ pid, rssBytes }) => [pid, rssBytes])),
  },
  (changed) => broadcast('changed', changed),
);

let reviving: NodeJS.Timeout | undefined;
const stopReviving = (): void => clearTimeout(reviving);

const serving = main();

async function main(): Promise<SupervisorServer> {
  await supervisor.resume();
  const server = await serveSupervisor(supervisor, {
    socketPath: supervisorSocket(home, key),
    version: VERSION,
    complain,
    onAdopted: stopReviving,
    onOrphaned: (daemonCommand) => {
      const reviveAfter = (ms: number): void => {
        reviving = setTimeout(() => {
          startDaemon(daemonCommand);
          reviveAfter(REVIVE_AGAIN_MS);
        }, ms);
      };
      stopReviving();
      reviveAfter(REVIVE_AFTER_MS);
    },
    onTerminating: stopReviving,
    onShutdown: () => {
      removeQuietly(supervisorSocket(home, key), lockPath, attachPath, doorPath);
      process.exit(0);
    },
    onHandedOver: () => process.exit(0),
  });
  broadcast = server.broadcast;
  const makeAgain = async (): Promise<void> => {
    makeHome(home);
    const holder = acquireLock(lockPath);
    if (holder !== null && holder !== process.pid) throw new Error(`process ${holder} has its lock`);
    await server.listenAgain();
    ledger.renew();
    supervisor.reopenLogs();
  };
  files = keepOwnFiles([home.run, supervisorSocket(home, key), lockPath], () => ledger.isGone, makeAgain, complain);
  // Tells the daemon that started this process that the socket is there.
  if (process.send) process.disconnect();
  return server;
}

/** Several supervisors may do so at once: the daemon's lock lets one of them through. */
function startDaemon([command = process.execPath, ...args]: readonly string[]): void {
  try {
    const child = spawn(command, args, { detached: true, stdio: 'ignore', cwd: '/', env: {} });
    child.on('error', () => {});
    child.unref();
  } catch {
    // Without memory it throws. It is tried again.
  }
}
