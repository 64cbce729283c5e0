import type { ChildProcess } from 'node:child_process';
import type { Socket } from 'node:net';
import { IPC_CMD, type IpcEnvelope, type ToApp } from '../protocol/ipc.ts';
import { parseFromApp } from '../protocol/ipc-schema.ts';
import type { ProcessEvent, RunningProcess } from '../supervisor/ports.ts';
import { ProcessTree } from './process-tree.ts';
import type { RawHandle } from './raw-handle.ts';
import type { SharedSockets } from './shared-sockets.ts';

/** The last messages of a process that has ended are read within this time. */
const LAST_MESSAGES_MS = 200;

interface ChildOptions {
  readonly ownGroup: boolean;
  /** Of a worker of a cluster: where its sockets come from, and its place in the app. */
  readonly shared?: { readonly sockets: SharedSockets; readonly slot: number };
}

/** Turns the events of a child process into those that a supervisor knows. */
export function watchChild(
  child: ChildProcess,
  { ownGroup, shared }: ChildOptions,
  on: (event: ProcessEvent) => void,
): RunningProcess {
  let emit: ((event: ProcessEvent) => void) | null = on;
  const { pid } = child;
  const tree = pid === undefined ? null : new ProcessTree(pid, ownGroup);
  let exited = false;

  const tell = (body: ToApp, handle?: RawHandle): void => {
    // A channel that has just closed is told by 'disconnect' and 'exit'.
    if (child.connected)
      child.send({ cmd: IPC_CMD, body } satisfies IpcEnvelope<ToApp>, handle as unknown as Socket, () => {});
  };
  const sockets = shared?.sockets.attach({ slot: shared.slot, send: tell });

  child.on('error', (error: NodeJS.ErrnoException) => {
    // Also emitted when a message could not be sent, which concerns nobody.
    if (pid === undefined) emit?.({ kind: 'spawn-failed', reason: spawnError(error, child.spawnfile) });
  });
  child.on('exit', (code, signal) => {
    exited = true;
    sockets?.gone();
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
  const onInternal = (message: Partial<IpcEnvelope<unknown>> | null, handle: RawHandle | undefined): void => {
    if (message?.cmd !== IPC_CMD) return;
    const event = parseFromApp(message.body);
    if (!event) return handle?.close();
    switch (event.kind) {
      case 'stopped-listening':
        sockets?.stopListening();
        return tell({ kind: 'nothing-follows' });
      case 'open-socket':
      case 'close-socket':
      case 'load':
      case 'pass-on':
      case 'claim':
      case 'took':
      case 'declined':
        return sockets?.handle(event, handle);
      case 'main-ran':
      case 'listening':
      case 'uncaught':
      case 'only-streams':
      case 'drained':
      case 'want-signal':
        return emit?.(event);
    }
  };
  (child as NodeJS.EventEmitter).on('internalMessage', onInternal);
  if (pid !== undefined) on({ kind: 'spawned', pid });

  return {
    askShutdown: (signal, drain) => {
      // An app that closed its channel cannot be asked.
      if (child.connected) tell({ kind: 'shutdown', signal, drain });
      else child.kill(signal as NodeJS.Signals);
    },
    endDrain: () => tell({ kind: 'end-drain' }),
    connect: (port) => sockets?.connect(port) ?? Promise.reject(new Error('it is no worker of a cluster')),
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
