import { spawn } from 'node:child_process';
import { programToRun } from '../domain/app-spec.ts';
import type { Launcher, LaunchRequest } from '../supervisor/ports.ts';
import { bootstrapArguments } from './node-arguments.ts';
import { stdioFor, watchReadyFd } from './ready-fd.ts';
import { watchChild } from './watch-child.ts';

/** Starts each instance as a process of its own, the leader of its own process group. */
export function forkLauncher(bootstrap: string): Launcher {
  return {
    launch: (request, on) => {
      const { spec, env, outFd, errFd } = request;
      const program = programToRun(spec);
      const node = program.runtime === 'node';
      const child = spawn(program.exec, commandArguments(request, bootstrap), {
        cwd: program.cwd,
        env,
        // Other programs have no use for a channel, and would hand its descriptor on to their children.
        stdio: [...stdioFor(spec, outFd, errFd), ...(node ? (['ipc'] as const) : [])],
        detached: true,
        ...(spec.uid === null ? {} : { uid: spec.uid }),
        ...(spec.gid === null ? {} : { gid: spec.gid }),
      });
      watchReadyFd(child, spec, () => on({ kind: 'probed' }));
      return watchChild(child, { ownGroup: true }, on);
    },
    settled: () => {},
  };
}

function commandArguments({ spec, env }: LaunchRequest, bootstrap: string): string[] {
  const { exec, script, interpreterArgs, args, runtime } = programToRun(spec);
  const preload = runtime === 'node' ? bootstrapArguments(bootstrap, interpreterArgs, env) : [];
  return [...interpreterArgs, ...preload, ...(script === exec ? [] : [script]), ...args];
}
