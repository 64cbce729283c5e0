import type { ChildProcess, StdioOptions } from 'node:child_process';
import type { Readable } from 'node:stream';
import type { AppSpec } from '../domain/app-spec.ts';
import type { Descriptors } from '../supervisor/ports.ts';
import type { AttachServer } from './attach-server.ts';

type Stdio = Exclude<StdioOptions, string>;

/** The descriptors of an instance: with a pipe where its readiness is told by a line on a descriptor. */
export function stdioFor(spec: AppSpec, { inFd, outFd, errFd }: Descriptors): Stdio {
  const fd = readyFd(spec);
  if (fd === null) return [inFd, outFd, errFd];
  return [inFd, outFd, errFd, ...Array.from({ length: fd - 3 }, () => 'ignore' as const), 'pipe'];
}

/** Those of a Node.js app: also its channel, and what leads it to the next supervisor; `door` is that one's number there. */
export function withChannel(
  stdio: Stdio,
  server: AttachServer,
): { readonly list: Stdio; readonly door: number | null } {
  const door = server.openDoor();
  if (door === null) return { list: [...stdio, 'ipc'], door };
  return { list: [...stdio, 'ipc', door], door: stdio.length + 1 };
}

/** Scripts and shells use lower ones for themselves. */
const FAR_FD = 20;

/** Those of a program that may start Node.js, which knows `process.send` by that channel, whatever starts it. */
export function withFarChannel(stdio: Stdio): Stdio {
  const missing = Math.max(0, FAR_FD - stdio.length);
  return [...stdio, ...Array.from({ length: missing }, () => 'ignore' as const), 'ipc'];
}

/** Calls `ready` at the first line that comes through that pipe. */
export function watchReadyFd(child: ChildProcess, spec: AppSpec, ready: () => void): void {
  const fd = readyFd(spec);
  if (fd === null) return;
  const pipe = child.stdio?.[fd] as Readable | null | undefined;
  pipe?.on('error', () => {});
  pipe?.on('data', (chunk: Buffer) => {
    if (!chunk.includes('\n')) return;
    ready();
    pipe.removeAllListeners('data').resume();
  });
}

function readyFd({ ready }: AppSpec): number | null {
  return ready.probe?.check.kind === 'fd' ? ready.probe.check.fd : null;
}
