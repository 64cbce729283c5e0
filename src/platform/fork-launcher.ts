import { type ChildProcess, spawn } from 'node:child_process';
import { type AppSpec, type ProgramSpec, programToRun } from '../domain/app-spec.ts';
import type { AttachPoint } from '../protocol/ipc.ts';
import type { Launcher } from '../supervisor/ports.ts';
import { asUser, learnUser, lend } from './as-user.ts';
import type { AttachServer } from './attach-server.ts';
import { type BootstrapFile, unlessAway } from './bootstrap-file.ts';
import { inspectionOf } from './inspect-arguments.ts';
import { bootstrapArguments } from './node-arguments.ts';
import { stdioFor, watchReadyFd, withChannel, withFarChannel } from './ready-fd.ts';
import { requireInterpreter } from './spawn-problem.ts';
import { startTraced } from './traces.ts';
import { adoptChild, type ChildOptions, watchChild } from './watch-child.ts';

/**
 * Starts each instance as a process of its own, the leader of its own process group.
 * @param attachTo where apps find the next supervisor.
 */
export function forkLauncher(bootstrapFor: BootstrapFile, server: AttachServer, attachTo: AttachPoint): Launcher {
  const optionsFor = ({ program }: AppSpec): ChildOptions => ({
    ownGroup: true,
    attachTo: program.runtime === 'node' ? attachTo : null,
  });
  return {
    prepare: learnUser,
    launch: (request, on) => {
      const { spec, slot, descriptors } = request;
      const program = programToRun(spec);
      const node = program.runtime === 'node';
      const given = { interpreterArgs: program.interpreterArgs, env: request.env };
      const { interpreterArgs, env } = node ? inspectionOf(given, slot.index) : given;
      requireInterpreter(program);
      const bootstrap = node ? bootstrapFor(spec) : null;
      const { file, args, ids } = asUser(
        spec,
        program.exec,
        commandArguments({ ...program, interpreterArgs }, env, bootstrap),
      );
      lend(spec, descriptors);
      const own = stdioFor(spec, descriptors);
      const { list: stdio, door } = node ? withChannel(own, server) : { list: withFarChannel(own), door: null };
      const start = (variables: Readonly<Record<string, string>>): ChildProcess =>
        spawn(file, args, {
          cwd: program.cwd,
          env: { ...env, ...variables },
          stdio,
          detached: true,
          ...ids,
        });
      // Node.js takes longer than that to get to the app.
      const { child, trace } = startTraced(start, !node);
      watchReadyFd(child, spec, () => on({ kind: 'probed' }));
      const told = bootstrap === null ? on : unlessAway(bootstrap, on);
      return watchChild(child, { ...optionsFor(spec), trace, program, door }, told);
    },
    // One that does not come is watched from outside, as a program that cannot.
    adopt: ({ spec, run }, on) => {
      learnUser(spec)?.catch(() => {});
      return adoptChild(run, server, { ...optionsFor(spec), treekill: spec.stop.treekill, onLate: () => {} }, on);
    },
    quiesce: () => Promise.resolve(),
    settled: () => {},
  };
}

function commandArguments(
  { exec, script, interpreterArgs, args }: ProgramSpec,
  env: Readonly<Record<string, string>>,
  bootstrap: string | null,
): string[] {
  const preload = bootstrap === null ? [] : bootstrapArguments(bootstrap, interpreterArgs, env);
  return [...interpreterArgs, ...preload, ...(script === exec ? [] : [script]), ...args];
}
