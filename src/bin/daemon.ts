/**
 * The daemon process: `daemon.cjs HOME`. Supervisors start it as `daemon.cjs HOME revived`, an init system as
 * `daemon.cjs HOME kept LAUNCHER`, or `kept-until-sigterm` where that has no other signal to stop with (docs/boot.md).
 */
import { spawn } from 'node:child_process';
import { accessSync, closeSync, constants, existsSync, openSync, readlinkSync, realpathSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Daemon } from '../daemon/daemon.ts';
import { Dump } from '../daemon/dump.ts';
import { openState } from '../daemon/open-state.ts';
import type { DaemonPorts } from '../daemon/ports.ts';
import { serveDaemon } from '../daemon/server.ts';
import { away } from '../domain/shortage.ts';
import { boundFile, emptyLogs, trimLogs } from '../logs/log-space.ts';
import { Sampler } from '../metrics/sampler.ts';
import { isFirstSinceBoot } from '../platform/boot-id.ts';
import { forgetBootstraps } from '../platform/bootstrap-file.ts';
import { leaveCgroup } from '../platform/cgroups.ts';
import { systemClock } from '../platform/clock.ts';
import { closeInherited } from '../platform/inherited-descriptors.ts';
import { acquireLock, lockHolder } from '../platform/lock.ts';
import { keepOwnFiles } from '../platform/own-files.ts';
import { readProcesses } from '../platform/process-table.ts';
import { sendSignal } from '../platform/send-signal.ts';
import { type Home, makeHome, resolveHome, SHARED_SUPERVISOR } from '../protocol/home.ts';
import { readMarks } from '../protocol/marks.ts';
import { removeQuietly } from '../protocol/remove-quietly.ts';
import { SMALL_HEAP } from '../protocol/small-heap.ts';
import { removeStatus, STATUS_EVERY_MS, writeStatus } from '../protocol/status-file.ts';
import { VERSION } from '../protocol/version.ts';
import { findSupervisors, MADE_AGAIN_MS } from './find-supervisors.ts';
import { standBy } from './stand-by.ts';

/** One that was started to end everything is told so within this time. */
const UNTIL_ENDED_MS = 10_000;
const AGAIN_MS = 50;
const TRIM_EVERY_MS = 60_000;
/** Of the daemon's own log; as much again is kept in `daemon.log.1`. */
const MOST_LOG_BYTES = 10 * 1024 * 1024;

void main();

async function main(): Promise<void> {
  closeInherited();
  const [root = '', role = '', launcher = ''] = process.argv.slice(2);
  const home = resolveHome({ UPKEEP_HOME: root });
  const changed = makeHome(home);
  process.chdir('/');
  leaveCgroup();
  let logFd = openSync(home.daemonLog, 'a', 0o600);
  const log = (line: string): void => {
    try {
      writeSync(logFd, `${new Date().toISOString()} [${process.pid}] ${line}\n`);
    } catch {
      // As on a full disk: what it does matters more than what it has to say.
    }
  };
  // A bug ends the daemon and nothing else: a supervisor starts the next one.
  process.on('uncaughtExceptionMonitor', (error) => {
    log(`fatal: ${error.stack}`);
    process.send?.(error.message);
  });

  const kept = launcher !== '';
  /** Apps are left alone by a stop that is only part of `unstartup`, which removes the launcher first. */
  const stopsApps = (signal: NodeJS.Signals): boolean =>
    (signal === 'SIGQUIT' || (signal === 'SIGTERM' && role === 'kept-until-sigterm')) &&
    (!kept || existsSync(launcher));
  let stopping = false;
  let onSignal = (signal: NodeJS.Signals): void => {
    if (!stopsApps(signal)) process.exit(0);
    stopping = true;
    const holder = lockHolder(home.daemonLock);
    if (holder !== null && holder !== process.pid) process.kill(holder, 'SIGQUIT');
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const) process.on(signal, () => onSignal(signal));
  let lookAtFiles = (): void => {};
  process.on('SIGUSR2', () => lookAtFiles());
  await beckon(home);
  while (acquireLock(home.daemonLock) !== null) {
    if (!kept) process.exit(0);
    await standBy(home);
  }
  process.title = `upkeep daemon ${root}`;
  if (changed !== null) log(changed);
  log(`daemon ${VERSION} started, Node.js ${process.version}`);

  const ports: DaemonPorts = {
    ...findSupervisors(home),
    startSupervisor: (key, exec) => {
      // A cluster needs a primary on the app's own Node.js.
      const node = key === SHARED_SUPERVISOR || exec === '' ? process.execPath : exec;
      const script = join(__dirname, 'supervisor.cjs');
      for (const path of [node, script]) if (!existsSync(path)) return Promise.reject(away(path));
      const child = spawn(node, [...SMALL_HEAP, script, root, key], {
        detached: true,
        cwd: '/',
        env: {},
        stdio: ['ignore', 'ignore', logFd, 'ipc'],
      });
      child.unref();
      return new Promise((resolve, reject) => {
        child.once('error', reject);
        // Its last words, such as that its disk is read-only.
        child.once('message', (problem) => reject(new Error(problem as string)));
        // It closes the channel when it listens, or by its death; connecting tells which.
        child.once('disconnect', resolve);
      });
    },
    daemonCommand: [process.execPath, ...SMALL_HEAP, __filename, root, 'revived'],
    writeStatus: (listing) => writeStatus(home, listing, { wall: Date.now(), elapsed: systemClock.now() }),
    resolveLinks: (path) => orNull(() => realpathSync(path)),
    readLink: (path) => orNull(() => readlinkSync(path)),
    isExecutable: (path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    },
    emptyLogs,
    trimLogs: (apps) => trimLogs(home.logs, apps),
    log,
    now: () => Date.now(),
    elapsed: systemClock.now,
    epoch: systemClock.epoch,
  };
  // Its supervisor, and all others, have been shut down meanwhile.
  if (role === 'revived' && ports.supervisorKeys().length === 0) process.exit(0);
  const { registry, journal, complete } = await openState(home.state, log);
  const daemon = new Daemon(ports, registry, journal, new Dump(home.dump), new Sampler(readProcesses));
  const first = isFirstSinceBoot(home.booted);
  if (first) forgetBootstraps(home.run);
  const booting = first && kept;
  // What the daemon before has left says nothing of what this one finds.
  removeStatus(home);
  const leave = (): void => {
    removeQuietly(home.daemonSocket, home.daemonLock);
    removeStatus(home);
    process.exit(0);
  };
  const stop = (): void => {
    stopping = true;
    void daemon.shutDown().finally(leave);
  };
  onSignal = (signal) => {
    const stops = stopsApps(signal);
    log(`ended by ${signal}${stops ? ', with all apps; the next daemon starts them again' : ''}`);
    if (stopping) return;
    if (stops) return stop();
    // Where another one is to come, supervisors need not start one.
    if (kept && existsSync(launcher)) void daemon.leave().finally(() => process.exit(0));
    else process.exit(0);
  };
  // Told so while another one was the daemon, which may have ended before it could do it.
  if (stopping) return stop();
  const resume = async (): Promise<void> => {
    await daemon.resume(complete);
    // As with pm2, what was saved comes back after `kill`, at boot; and should the list have been lost.
    if (!booting || registry.apps.length > 0) return;
    const { restored } = await daemon.resurrect();
    if (restored > 0) log(`the list was empty at boot: ${restored} saved apps were taken`);
  };
  const begin = (): Promise<void> => resume().catch((error: Error) => log(`not all could be resumed: ${error.stack}`));
  // One that was started to end everything begins nothing; unless it is not told to.
  const ready = role === 'ending' ? daemon.adopt() : begin();
  if (role === 'ending') setTimeout(() => void begin(), UNTIL_ENDED_MS);
  const listener = await serveDaemon(daemon, ready, {
    socketPath: home.daemonSocket,
    version: VERSION,
    log,
    onKilled: () => {
      if (!stopping) leave();
    },
    onLeft: () => {
      if (stopping) return;
      log('left for another daemon to come');
      process.exit(0);
    },
  });
  setInterval(() => {
    daemon.views.sample();
    // It tells why not by `problems`.
    if (journal.isBehind) journal.save().catch(() => {});
    daemon.views.publish();
  }, STATUS_EVERY_MS);
  setInterval(() => {
    void daemon.trimLogs();
    try {
      boundFile(logFd, home.daemonLog, MOST_LOG_BYTES);
    } catch (error) {
      log(`cannot bound this log: ${(error as Error).message}`);
    }
  }, TRIM_EVERY_MS);
  const makeAgain = async (): Promise<void> => {
    makeHome(home);
    const holder = acquireLock(home.daemonLock);
    if (holder !== null && holder !== process.pid) {
      log(`process ${holder} is the daemon of this home`);
      process.exit(0);
    }
    const before = logFd;
    logFd = openSync(home.daemonLog, 'a', 0o600);
    closeSync(before);
    await listener.listen();
    await journal.save(true);
    daemon.views.publish();
  };
  const own = [home.root, home.run, home.logs, home.daemonSocket, home.daemonLock, home.daemonLog];
  const files = keepOwnFiles(own, () => false, makeAgain, log);
  lookAtFiles = () => {
    files.look();
    // As with pm2, for programs that move logs away.
    void daemon.reloadLogs();
  };
  // Tells the command that started this process that the socket is there.
  if (process.send) process.disconnect();
}

/** A daemon that lives, and whose files are gone, makes them again. */
async function beckon(home: Home): Promise<void> {
  const isMissed = (): boolean => lockHolder(home.daemonLock) === null;
  if (!isMissed()) return;
  const [daemon] = readMarks(home).daemons;
  if (daemon === undefined || !sendSignal(daemon, 'SIGUSR2')) return;
  for (let waitedMs = 0; isMissed() && waitedMs < MADE_AGAIN_MS; waitedMs += AGAIN_MS) await sleep(AGAIN_MS);
}

function orNull<T>(read: () => T): T | null {
  try {
    return read();
  } catch {
    return null;
  }
}
