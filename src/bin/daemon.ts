/** The daemon process: `daemon.cjs HOME`. */
import { spawn } from 'node:child_process';
import { existsSync, openSync, readdirSync, realpathSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { connectPeer } from '../client/connect.ts';
import { Daemon } from '../daemon/daemon.ts';
import { openState } from '../daemon/open-state.ts';
import type { DaemonPorts } from '../daemon/ports.ts';
import { serveDaemon } from '../daemon/server.ts';
import { boundFile, emptyLogs, trimLogs } from '../logs/log-space.ts';
import { Sampler } from '../metrics/sampler.ts';
import { acquireLock } from '../platform/lock.ts';
import { readProcesses } from '../platform/process-table.ts';
import { makeHome, resolveHome, SHARED_SUPERVISOR, supervisorLedger, supervisorSocket } from '../protocol/home.ts';
import { removeStatus, STATUS_EVERY_MS, writeStatus } from '../protocol/status-file.ts';
import { VERSION } from '../protocol/version.ts';

const TRIM_EVERY_MS = 60_000;
/** Of the daemon's own log; as much again is kept in `daemon.log.1`. */
const MOST_LOG_BYTES = 10 * 1024 * 1024;

void main();

async function main(): Promise<void> {
  const [root = ''] = process.argv.slice(2);
  const home = resolveHome({ UPKEEP_HOME: root });
  makeHome(home);
  process.title = `upkeep daemon ${root}`;
  process.chdir('/');
  const logFd = openSync(home.daemonLog, 'a', 0o600);
  const log = (line: string): void => {
    try {
      writeSync(logFd, `${new Date().toISOString()} [${process.pid}] ${line}\n`);
    } catch {
      // The disk is full, say: that ends nothing.
    }
  };
  // A bug ends the daemon and nothing else: a supervisor starts the next one.
  process.on('uncaughtExceptionMonitor', (error) => log(`fatal: ${error.stack}`));

  const holder = acquireLock(home.daemonLock);
  if (holder !== null) process.exit(0);
  log(`daemon ${VERSION} started, Node.js ${process.version}`);

  const ports: DaemonPorts = {
    supervisorKeys: () => {
      const keys = readdirSync(home.run).map((entry) => /^supervisor-(\w+)\.(sock|ledger)$/.exec(entry)?.[1]);
      return [...new Set(keys)].filter((key) => key !== undefined);
    },
    hasLeft: (key) => existsSync(supervisorLedger(home, key)),
    connect: (key, handlers) => connectPeer(supervisorSocket(home, key), handlers),
    startSupervisor: (key, exec) => {
      // A cluster needs a primary on the app's own Node.js.
      const node = key === SHARED_SUPERVISOR || exec === '' ? process.execPath : exec;
      const child = spawn(node, [join(__dirname, 'supervisor.cjs'), root, key], {
        detached: true,
        cwd: '/',
        env: {},
        stdio: ['ignore', 'ignore', logFd, 'ipc'],
      });
      child.unref();
      return new Promise((resolve, reject) => {
        child.once('error', reject);
        // It closes the channel when it listens, or by its death; connecting tells which.
        child.once('disconnect', resolve);
      });
    },
    daemonCommand: [process.execPath, __filename, root],
    writeStatus: (instances) => writeStatus(home, instances, Date.now()),
    resolveLinks: (path) => {
      try {
        return realpathSync(path);
      } catch {
        return null;
      }
    },
    emptyLogs,
    trimLogs: (specs) => trimLogs(home.logs, specs),
    log,
    now: () => Date.now(),
  };
  const { registry, journal } = await openState(home.state, log);
  const daemon = new Daemon(ports, registry, journal, new Sampler(readProcesses));
  const startedAt = Date.now();
  // What the daemon before has left says nothing of what this one finds.
  removeStatus(home);
  const ready = daemon.resume().catch((error: Error) => log(`not all could be resumed: ${error.stack}`));
  await serveDaemon(daemon, ready, {
    socketPath: home.daemonSocket,
    version: VERSION,
    startedAt,
    onKilled: () => {
      rmSync(home.daemonSocket, { force: true });
      rmSync(home.daemonLock, { force: true });
      removeStatus(home);
      process.exit(0);
    },
    onLeft: () => {
      log('left for another daemon to come');
      process.exit(0);
    },
  });
  setInterval(() => {
    daemon.sample();
    daemon.publish();
  }, STATUS_EVERY_MS);
  setInterval(() => {
    void daemon.trimLogs();
    try {
      boundFile(logFd, home.daemonLog, MOST_LOG_BYTES);
    } catch (error) {
      log(`cannot bound this log: ${(error as Error).message}`);
    }
  }, TRIM_EVERY_MS);
  // As with pm2, for programs that move logs away.
  process.on('SIGUSR2', () => void daemon.reloadLogs());
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      log(`ended by ${signal}`);
      process.exit(0);
    });
  }
  // Tells the command that started this process that the socket is there.
  if (process.send) process.disconnect();
}
