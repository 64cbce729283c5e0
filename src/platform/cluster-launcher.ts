import cluster, { type Address, type Worker } from 'node:cluster';
import { type BalanceSpec, programToRun } from '../domain/app-spec.ts';
import type { Launcher } from '../supervisor/ports.ts';
import { bootstrapArguments } from './node-arguments.ts';
import { stdioFor, watchReadyFd } from './ready-fd.ts';
import { SharedSockets } from './shared-sockets.ts';
import { watchChild } from './watch-child.ts';

/** An app may open a port some time after it is ready: one that nobody uses is kept for this long. */
const CLOSE_UNUSED_MS = 5000;

/** Starts instances as workers of this process, which is the primary of Node's cluster module. */
export function clusterLauncher(bootstrap: string): Launcher {
  let balance: BalanceSpec = { mode: 'auto', cookie: null };
  const sockets = new SharedSockets(() => balance);
  let closing: NodeJS.Timeout | null = null;
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
      worker.on('error', () => {});
      return watchChild(
        worker.process,
        {
          ownGroup: false,
          shared: { sockets, slot: slot.index, held: spec.ready.waitReady || spec.ready.probe !== null },
        },
        on,
      );
    },
  };
}

function describeAddress({ address, port }: Address): string {
  const host: string | null = address;
  if (host === null) return `udp *:${port}`;
  return host.includes(':') ? `udp [${host}]:${port}` : `udp ${host}:${port}`;
}
