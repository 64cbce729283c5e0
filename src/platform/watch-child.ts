import type { ChildProcess } from 'node:child_process';
import { IPC_CMD, type IpcEnvelope, type ToApp } from '../protocol/ipc.ts';
import { parseFromApp } from '../protocol/ipc-schema.ts';
import type { ProcessEvent, RunningProcess } from '../supervisor/ports.ts';
import { ProcessTree } from './process-tree.ts';

/** The last messages of a process that has ended are read within this time. */
const LAST_MESSAGES_MS = 200;

interface ChildOptions {
  readonly ownGroup: boolean;
  /** Ask its bootstrap to drain it; else only to pass the message on. */
  readonly drain: boolean;
  /** false where something else tells which addresses are listened on. */
  readonly listeningFromApp: boolean;
}

/** Turns the events of a child process into those that a supervisor knows. */
export function watchChild(
  child: ChildProcess,
  { ownGroup, drain, listeningFromApp }: ChildOptions,
  on: (event: ProcessEvent) => void,
): RunningProcess {
  let emit: ((event: ProcessEvent) => void) | null = on;
  const { pid } = child;
  const tree = pid === undefined ? null : new ProcessTree(pid, ownGroup);
  let exited = false;

  const tell = (body: ToApp): void => {
    if (child.connected) child.send({ cmd: IPC_CMD, body } satisfies IpcEnvelope<ToApp>, () => {});
  };

  child.on('error', (error: NodeJS.ErrnoException) => {
    // Also emitted when a message could not be sent, which concerns nobody.
    if (pid === undefined) emit?.({ kind: 'spawn-failed', reason: spawnError(error, child.spawnfile) });
  });
  child.on('exit', (code, signal) => {
    exited = true;
    tree?.mainExited();
    const report = () => emit?.({ kind: 'exited', exit: { code, signal }, treeAlive: tree?.hasDescendants() ?? false });
    if (!child.connected) return report();
    const timer = setTimeout(report, LAST_MESSAGES_MS);
    child.once('disconnect', () => {
      clearTimeout(timer);
      report();
    });
  });
  child.on('message', (message) => {
    if (message === 'ready') emit?.({ kind: 'ready' });
  });
  (child as NodeJS.EventEmitter).on('internalMessage', (message: Partial<IpcEnvelope<unknown>> | null) => {
    if (message?.cmd !== IPC_CMD) return;
    const event = parseFromApp(message.body);
    if (event?.kind === 'stopped-listening') return tell({ kind: 'nothing-follows' });
    if (event && (listeningFromApp || event.kind !== 'listening')) emit?.(event);
  });
  if (pid !== undefined) on({ kind: 'spawned', pid });

  return {
    askShutdown: (signal) => {
      // An app that closed its channel cannot be asked.
      if (child.connected) tell({ kind: 'shutdown', signal, drain });
      else child.kill(signal as NodeJS.Signals);
    },
    signal: (signal, wholeTree) => {
      if (wholeTree) tree?.signal(signal);
      else if (!exited) child.kill(signal as NodeJS.Signals);
    },
    awaitTree: () => tree?.whenGone(() => emit?.({ kind: 'tree-gone' })),
    forget: () => {
      emit = null;
      tree?.forget();
    },
  };
}

const SPAWN_ERRORS: Readonly<Record<string, string>> = {
  ENOENT: 'it or its working directory does not exist',
  EACCES: 'no permission to execute it, or to enter its working directory',
};

function spawnError(error: NodeJS.ErrnoException, file: string): string {
  return `cannot start ${file}: ${SPAWN_ERRORS[error.code ?? ''] ?? error.message}`;
}
