/**
 * The supervisor process: `supervisor.cjs HOME KEY`. KEY is `shared` for all fork-mode apps, or names the one
 * cluster-mode app, and then this is run by the app's own Node.js, as the primary of its cluster.
 */
import { execFile, spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
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
import { acquireLock } from '../platform/lock.ts';
import { endHolders } from '../platform/orphans.ts';
import { pidFiles } from '../platform/pid-files.ts';
import { portOwner } from '../platform/port-owner.ts';
import { prober } from '../platform/probes.ts';
import { readProcess, readProcesses } from '../platform/process-table.ts';
import {
  attachDoor,
  attachSocket,
  resolveHome,
  SHARED_SUPERVISOR,
  supervisorLedger,
  supervisorLock,
  supervisorSocket,
} from '../protocol/home.ts';
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
process.title = `upkeep supervisor ${key} ${root}`;
// Cluster workers would inherit it all; each gets its own environment instead.
for (const name of Object.keys(process.env)) delete process.env[name];
leaveCgroup();
// A signal meant for a terminal's process group must not take the apps along.
for (const signal of ['SIGINT', 'SIGHUP'] as const) process.on(signal, () => {});
// A machine that goes down sends it to all.
process.on('SIGTERM', () => void serving.then((server) => server.terminate()));
process.on('SIGUSR2', () => supervisor.reopenLogs());

const holder = acquireLock(supervisorLock(home, key));
if (holder !== null) {
  console.error(`supervisor ${key} runs already, as process ${holder}`);
  process.exit(0);
}

const complain = (line: string): void =>
  console.error(`${new Date().toISOString()} supervisor ${key} [${process.pid}] ${line}`);
const bootstrap = bootstrapFile(join(__dirname, 'bootstrap.cjs'), home.run);
const attachPath = attachSocket(home, key);
const doorPath = attachDoor(home, key);
const ledgerPath = supervisorLedger(home, key);
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
    ledger: fileLedger(ledgerPath),
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
      for (const path of [supervisorSocket(home, key), supervisorLock(home, key), attachPath, doorPath])
        rmSync(path, { force: true, recursive: true });
      process.exit(0);
    },
    onHandedOver: () => process.exit(0),
  });
  broadcast = server.broadcast;
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
