import cluster, { type Address, type Worker } from 'node:cluster';
import { type BalanceSpec, programToRun } from '../domain/app-spec.ts';
import type { AttachPoint } from '../protocol/ipc.ts';
import type { Slot } from '../protocol/messages.ts';
import type { Launcher } from '../supervisor/ports.ts';
import { isSame } from './adopted-child.ts';
import { asUser, learnUser, lend, type User } from './as-user.ts';
import type { AttachServer } from './attach-server.ts';
import { type BootstrapFile, unlessAway } from './bootstrap-file.ts';
import { inspectionOf } from './inspect-arguments.ts';
import { bootstrapArguments } from './node-arguments.ts';
import { stdioFor, watchReadyFd, withChannel } from './ready-fd.ts';
import { sendSignal } from './send-signal.ts';
import { SharedSockets } from './shared-sockets.ts';
import { requireInterpreter } from './spawn-problem.ts';
import { startTraced } from './traces.ts';
import { adoptChild, type ChildOptions, watchChild } from './watch-child.ts';

/** An app may open a port some time after it is ready: one that nobody uses is kept for this long. */
const CLOSE_UNUSED_MS = 5000;

interface ForkedWorker {
  readonly worker: Worker;
  readonly pid: number | undefined;
}

/**
 * Starts instances as workers of this process, which is the primary of Node's cluster module.
 * @param attachTo where apps find the next supervisor.
 */
export function clusterLauncher(bootstrapFor: BootstrapFile, server: AttachServer, attachTo: AttachPoint): Launcher {
  let balance: BalanceSpec = { mode: 'auto', cookie: null };
  const sockets = new SharedSockets(() => balance);
  let closing: NodeJS.Timeout | null = null;
  const optionsFor = ({ index }: Slot, { uid, gid }: User, held: boolean): ChildOptions => ({
    ownGroup: false,
    attachTo,
    shared: { sockets, slot: index, held, user: { uid, gid } },
  });
  return {
    settled: (running) => {
      if (closing) clearTimeout(closing);
      if (running) closing = setTimeout(() => sockets.closeUnused(), CLOSE_UNUSED_MS);
      else sockets.closeUnused();
    },
    prepare: learnUser,
    launch: ({ spec, slot, env: givenEnv, descriptors }, on) => {
      if (closing) clearTimeout(closing);
      balance = spec.balance;
      const { script, args, cwd, interpreterArgs: given } = programToRun(spec);
      const { interpreterArgs, env, port } = inspectionOf({ interpreterArgs: given, env: givenEnv }, slot.index);
      const program = { exec: process.execPath, script, cwd };
      requireInterpreter(program);
      const bootstrap = bootstrapFor(spec);
      const nodeArgs = [...interpreterArgs, ...bootstrapArguments(bootstrap, interpreterArgs, env)];
      const { file, args: execArgv, ids } = asUser(spec, process.execPath, nodeArgs);
      lend(spec, descriptors);
      const { list: stdio, door } = withChannel(stdioFor(spec, descriptors), server);
      cluster.setupPrimary({
        exec: script,
        args: [...args],
        execArgv: [...execArgv],
        cwd,
        stdio: [...stdio],
        serialization: 'json',
        // Else Node counts on with each worker that it starts.
        inspectPort: port,
        // Else those of the worker before are kept.
        ...({ uid: undefined, gid: undefined, ...ids } as { uid?: number; gid?: number }),
      });
      const fork = (variables: Readonly<Record<string, string>>): ForkedWorker => {
        const worker = withExecPath(file, () => cluster.fork({ ...env, ...variables }));
        return { worker, pid: worker.process.pid };
      };
      const {
        child: { worker },
        trace,
      } = startTraced(fork, false);
      watchReadyFd(worker.process, spec, () => on({ kind: 'probed' }));
      // Of what Node itself shares, which are datagram sockets; of the others the bootstrap tells.
      worker.on('listening', (address) => on({ kind: 'listening', address: describeAddress(address) }));
      // 'error' also comes through the process, which is watched.
      worker.on('error', () => {
        // Node keeps one that could not be started for want of descriptors.
        if (worker.process.pid === undefined) delete cluster.workers?.[worker.id];
      });
      const options = optionsFor(slot, spec, spec.ready.waitReady || spec.ready.probe !== null);
      return watchChild(worker.process, { ...options, trace, program, door }, unlessAway(bootstrap, on));
    },
    adopt: ({ spec, slot, run, held }, on) => {
      learnUser(spec)?.catch(() => {});
      balance = spec.balance;
      const options = optionsFor(slot, spec, held);
      // It may hold the sockets that its siblings need.
      const onLate = (): void => void (isSame(run.pid, run.startTime) && sendSignal(run.pid, 'SIGKILL'));
      return adoptChild(run, server, { ...options, awaited: true, treekill: spec.stop.treekill, onLate }, on);
    },
    quiesce: () => sockets.quiesce(),
  };
}

/** Node's cluster module starts this path, and takes no other. */
function withExecPath<T>(path: string, action: () => T): T {
  const { execPath } = process;
  process.execPath = path;
  try {
    return action();
  } finally {
    process.execPath = execPath;
  }
}

function describeAddress({ address, port }: Address): string {
  const host: string | null = address;
  if (host === null) return `udp *:${port}`;
  return host.includes(':') ? `udp [${host}]:${port}` : `udp ${host}:${port}`;
}
