import cluster, { type Address, type Worker } from 'node:cluster';
import type { Launcher } from '../supervisor/ports.ts';
import { bootstrapArguments } from './node-arguments.ts';
import { watchChild } from './watch-child.ts';

/** Starts instances as workers of this process, which is the primary of Node's cluster module. */
export function clusterLauncher(bootstrap: string): Launcher {
  cluster.schedulingPolicy = cluster.SCHED_RR;
  return {
    launch: ({ spec, env, outFd, errFd }, on) => {
      const { script, args, cwd, interpreterArgs } = spec.program;
      cluster.setupPrimary({
        exec: script,
        args: [...args],
        execArgv: [...interpreterArgs, ...bootstrapArguments(bootstrap, interpreterArgs, env)],
        cwd,
        stdio: ['ignore', outFd, errFd, 'ipc'],
        serialization: 'json',
        ...(spec.uid === null ? {} : { uid: spec.uid }),
        ...(spec.gid === null ? {} : { gid: spec.gid }),
      });
      const worker: Worker = cluster.fork(env);
      worker.on('listening', (address) => on({ kind: 'listening', address: describeAddress(address) }));
      // 'error' also comes through the process, which is watched.
      worker.on('error', () => {});
      return watchChild(worker.process, { ownGroup: false, drain: true, listeningFromApp: false }, on);
    },
  };
}

/** @param address type -1 is a unix socket, 4 and 6 are TCP, udp4 and udp6 UDP; a null host is every address. */
function describeAddress({ addressType, address, port }: Address): string {
  const host: string | null = address;
  if (addressType === -1) return host ?? 'a unix socket';
  const udp = String(addressType).startsWith('udp') ? 'udp ' : '';
  if (host === null) return `${udp}*:${port}`;
  return host.includes(':') ? `${udp}[${host}]:${port}` : `${udp}${host}:${port}`;
}
