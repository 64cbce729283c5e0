import cluster, { type Address, type Worker } from 'node:cluster';
import { type BalanceSpec, programToRun } from '../domain/app-spec.ts';
import type { Slot } from '../protocol/messages.ts';
import type { Launcher } from '../supervisor/ports.ts';
import type { AttachServer } from './attach-server.ts';
import { bootstrapArguments } from './node-arguments.ts';
import { stdioFor, watchReadyFd } from './ready-fd.ts';
import { sendSignal } from './send-signal.ts';
import { SharedSockets } from './shared-sockets.ts';
import { adoptChild, type ChildOptions, watchChild } from './watch-child.ts';

/** An app may open a port some time after it is ready: one that nobody uses is kept for this long. */
const CLOSE_UNUSED_MS = 5000;

/**
 * Starts instances as workers of this process, which is the primary of Node's cluster module.
 * @param attachPath where the server of the next supervisor will be.
 */
export function clusterLauncher(bootstrap: string, server: AttachServer, attachPath: string): Launcher {
  let balance: BalanceSpec = { mode: 'auto', cookie: null };
  const sockets = new SharedSockets(() => balance);
  let closing: NodeJS.Timeout | null = null;
  const optionsFor = ({ index }: Slot, held: boolean): ChildOptions => ({
    ownGroup: false,
    attachTo: attachPath,
    shared: { sockets, slot: index, held },
  });
  return {
    settled: (running) => {
      if (closing) clearTimeout(closing);
      if (running) closing = setTimeout(() => sockets.closeUnused(), CLOSE_UNUSED_MS);
      else sockets.closeUnused();
    },
    launch: ({ spec, slot, env, outFd, errFd }, on) => {
      if (closing) clearTimeout(closing);
      balance = spec.balance;
      const { script, args, cwd, interpreterArgs } = programToRun(spec);
      cluster.setupPrimary({
        exec: script,
        args: [...args],
        execArgv: [...interpreterArgs, ...bootstrapArguments(bootstrap, interpreterArgs, env)],
        cwd,
        stdio: [...stdioFor(spec, outFd, errFd), 'ipc'],
        serialization: 'json',
        ...(spec.uid === null ? {} : { uid: spec.uid }),
        ...(spec.gid === null ? {} : { gid: spec.gid }),
      });
      const worker: Worker = cluster.fork(env);
      watchReadyFd(worker.process, spec, () => on({ kind: 'probed' }));
      // Of what Node itself shares, which are datagram sockets; of the others the bootstrap tells.
      worker.on('listening', (address) => on({ kind: 'listening', address: describeAddress(address) }));
      // 'error' also comes through the process, which is watched.
      worker.on('error', () => {
        // Node keeps one that could not be started for want of descriptors.
        if (worker.process.pid === undefined) delete cluster.workers?.[worker.id];
      });
      return watchChild(worker.process, optionsFor(slot, spec.ready.waitReady || spec.ready.probe !== null), on);
    },
    adopt: ({ spec, slot, run, held }, on) => {
      balance = spec.balance;
      const options = optionsFor(slot, held);
      // It may hold the sockets that its siblings need.
      const onLate = (): void => void sendSignal(run.pid, 'SIGKILL');
      return adoptChild(run, server, { ...options, awaited: true, onLate }, on);
    },
    quiesce: () => sockets.quiesce(),
  };
}

function describeAddress({ address, port }: Address): string {
  const host: string | null = address;
  if (host === null) return `udp *:${port}`;
  return host.includes(':') ? `udp [${host}]:${port}` : `udp ${host}:${port}`;
}
