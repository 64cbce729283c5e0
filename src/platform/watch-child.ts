import type { ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import type { Exit } from '../domain/restart-policy.ts';
import { type AttachPoint, IPC_CMD, type IpcEnvelope, type ToApp } from '../protocol/ipc.ts';
import { parseFromApp } from '../protocol/ipc-schema.ts';
import type { ProcessEvent, RunIdentity, RunningProcess } from '../supervisor/ports.ts';
import { AdoptedChild, isSame, type WatchedChild } from './adopted-child.ts';
import type { User } from './as-user.ts';
import type { AttachServer } from './attach-server.ts';
import { SPOILT } from './channel-bounds.ts';
import { firstPorts } from './first-ports.ts';
import { guardChannel } from './guard-channel.ts';
import { killedForMemory } from './oom.ts';
import { readProcess } from './process-table.ts';
import { ProcessTree } from './process-tree.ts';
import type { RawHandle } from './raw-handle.ts';
import type { SharedSockets } from './shared-sockets.ts';
import { type Runnable, spawnProblem } from './spawn-problem.ts';
import { followTrace, type Trace, traceLeft } from './traces.ts';

/** The last messages of a process that has ended are read within this time, and its end is told after that of its channel. */
const LAST_MESSAGES_MS = 200;

export interface ChildOptions {
  readonly ownGroup: boolean;
  /** Of a Node.js app: where it finds the next supervisor; null for another program. */
  readonly attachTo: AttachPoint | null;
  /** Of one that has just been started: its descriptor of the folder that leads there, too. */
  readonly door?: number | null;
  /** Of one that has just been started. */
  readonly trace?: Trace;
  readonly program?: Runnable;
  /** Of a worker of a cluster: where its sockets come from, and its place in the app. */
  readonly shared?: {
    readonly sockets: SharedSockets;
    readonly slot: number;
    readonly held: boolean;
    readonly user: User;
  };
  /** Its sockets come with it: until then no other worker opens one. */
  readonly awaited?: boolean;
}

/** Turns the events of a child process that was just started into those that a supervisor knows. */
export function watchChild(
  child: ChildProcess,
  options: ChildOptions,
  on: (event: ProcessEvent) => void,
): RunningProcess {
  guardChannel(child, options.shared?.user);
  const { pid } = child;
  const { attachTo } = options;
  const token = attachTo === null ? null : randomUUID();
  const running = watch(child, options, on);
  if (child.connected) sayIdentity(child, attachTo, token, options.door ?? null);
  if (pid !== undefined) {
    const trace = options.trace ? { trace: traceLeft(options.trace) } : {};
    on({ kind: 'spawned', run: { pid, startTime: readProcess(pid)?.startTime ?? '', token, ...trace } });
  }
  return running;
}

function sayIdentity(
  child: WatchedChild,
  attachTo: AttachPoint | null,
  token: string | null,
  door: number | null,
): void {
  if (attachTo === null || token === null) return;
  const body: ToApp = { kind: 'identity', ...attachTo, token, door };
  child.send({ cmd: IPC_CMD, body } satisfies IpcEnvelope<ToApp>, () => {});
}

/** An app that has not come within this time is blocked, or its bootstrap is gone. */
const ATTACH_MS = 10_000;

/** Takes over a process of another supervisor, and its channel when it comes. @returns null when it is gone. */
export function adoptChild(
  { pid, startTime, token, trace: left }: RunIdentity,
  server: AttachServer,
  options: ChildOptions & { readonly onLate: () => void; readonly treekill: boolean },
  on: (event: ProcessEvent) => void,
): RunningProcess | null {
  const trace = left && followTrace(left);
  if (!isSame(pid, startTime)) {
    if (trace && options.treekill) endTree(pid, trace);
    return null;
  }
  const child = new AdoptedChild(pid, startTime, token !== null);
  const running = watch(child, { ...options, ...(trace ? { trace } : {}) }, on);
  let late: NodeJS.Timeout | undefined;
  if (token !== null) {
    late = setTimeout(() => {
      child.giveUp();
      options.onLate();
    }, ATTACH_MS);
    server.expect(token, (channel) => {
      clearTimeout(late);
      child.attach(channel);
      sayIdentity(child, options.attachTo, token, null);
    });
  }
  const forget = (): void => {
    clearTimeout(late);
    if (token !== null) server.forget(token);
    child.leave();
  };
  child.once('exit', forget);
  return {
    ...running,
    forget: () => {
      running.forget();
      forget();
    },
  };
}

/** What a main process has left behind that has ended. */
function endTree(pid: number, trace: Trace): void {
  const tree = new ProcessTree(pid, false, trace);
  tree.mainExited();
  tree.signal('SIGKILL');
  tree.forget();
}

function watch(
  child: WatchedChild,
  { ownGroup, trace, program, shared, attachTo, awaited = false }: ChildOptions,
  on: (event: ProcessEvent) => void,
): RunningProcess {
  let emit: ((event: ProcessEvent) => void) | null = on;
  const { pid } = child;
  const tree = pid === undefined ? null : new ProcessTree(pid, ownGroup, trace);
  let exited = false;
  let saidAll = false;
  /** Where it listens first, as its bootstrap tells. */
  let firstAddress: string | undefined;

  const tell = (body: ToApp, handle?: RawHandle): void => {
    // A channel that has just closed is told by 'disconnect' and 'exit'.
    if (child.connected)
      child.send({ cmd: IPC_CMD, body } satisfies IpcEnvelope<ToApp>, handle as unknown as Socket, () => {});
  };
  const sockets = shared?.sockets.attach({
    slot: shared.slot,
    held: shared.held,
    user: shared.user,
    awaited,
    send: tell,
  });

  let endLook = (): void => {};
  // The app has closed its channel, or written to it: nothing more is heard of it, and what it listens on is seen.
  const unheard = (): void => {
    if (exited || !emit || pid === undefined || attachTo === null) return;
    emit({ kind: 'main-ran' });
    endLook();
    if (shared) return;
    endLook = firstPorts(pid, (ports) => {
      for (const port of ports) emit?.({ kind: 'listening', address: `*:${port}` });
    });
  };
  child.once(SPOILT, unheard);
  child.once('disconnect', () => setTimeout(unheard, LAST_MESSAGES_MS));

  child.on('error', (error: NodeJS.ErrnoException) => {
    // Also emitted when a message could not be sent, which concerns nobody.
    if (pid !== undefined) return;
    sockets?.gone();
    const { spawnfile } = child;
    emit?.({
      kind: 'spawn-failed',
      ...spawnProblem(error, program ?? { exec: spawnfile, script: spawnfile, cwd: '/' }),
    });
  });
  child.on('exit', (code: number | null, signal: string | null) => {
    exited = true;
    endLook();
    sockets?.stopListening();
    tree?.mainExited();
    const report = (): void => {
      saidAll = true;
      // Not before: what it has taken, its last messages tell.
      sockets?.gone();
      emit?.({ kind: 'exited', exit: exitOf(code, signal), treeAlive: tree?.hasDescendants() ?? false });
    };
    // What another program has left behind may have its channel still.
    if (attachTo === null && child.connected) child.disconnect?.();
    if (!child.connected) return report();
    const timer = setTimeout(report, LAST_MESSAGES_MS);
    child.once('disconnect', () => {
      clearTimeout(timer);
      report();
    });
  });
  child.on('message', (message: unknown) => {
    if (message === 'ready') emit?.({ kind: 'ready' });
  });
  const onInternal = (message: Partial<IpcEnvelope<unknown>> | null, handle: RawHandle | undefined): void => {
    if (message?.cmd !== IPC_CMD) return;
    const event = parseFromApp(message.body);
    if (!event) return handle?.close();
    if (event.kind === 'listening') firstAddress ??= event.address;
    switch (event.kind) {
      case 'stopped-listening':
        sockets?.stopListening();
        return tell({ kind: 'nothing-follows' });
      case 'attach':
        return;
      case 'exiting':
        return child instanceof AdoptedChild ? child.willExit(event.code) : undefined;
      case 'open-socket':
      case 'have-socket':
      case 'no-more-sockets':
      case 'close-socket':
      case 'ticket-keys':
      case 'load':
      case 'pass-on':
      case 'ask-after':
      case 'claim':
      case 'took':
      case 'declined':
        return sockets && !saidAll ? sockets.handle(event, handle) : handle?.close();
      case 'main-ran':
      case 'settled':
      case 'listening':
      case 'closed':
      case 'uncaught':
      case 'only-streams':
      case 'drained':
      case 'want-signal':
      case 'pong':
      case 'answered':
        return emit?.(event);
    }
  };
  child.on('internalMessage', onInternal);

  return {
    askShutdown: (signal, drain, messageMs) => {
      // An app that closed its channel cannot be asked.
      if (child.connected) tell({ kind: 'shutdown', signal, drain, messageMs });
      else child.kill(signal as NodeJS.Signals);
    },
    endDrain: () => tell({ kind: 'end-drain' }),
    admit: () => sockets?.admit(),
    ping: () => tell({ kind: 'ping' }),
    watchAnswers: (ms) => tell({ kind: 'watch-answers', ms }),
    connect: (port) => sockets?.connect(port) ?? connectTo(port ?? firstAddress),
    signal: (signal, wholeTree) => {
      if (wholeTree) tree?.signal(signal);
      else if (!exited) child.kill(signal as NodeJS.Signals);
    },
    letGo: () => {
      if (attachTo !== null) tell({ kind: 'let-go' });
      else if (child.connected) child.disconnect?.();
    },
    awaitTree: () => tree?.whenGone(() => emit?.({ kind: 'tree-gone' })),
    forget: () => {
      emit = null;
      endLook();
      tree?.forget();
    },
  };
}

function exitOf(code: number | null, signal: string | null): Exit {
  if (code === null && signal === null) return { code, signal, unseen: true };
  return signal === 'SIGKILL' && killedForMemory() ? { code, signal, outOfMemory: true } : { code, signal };
}

/** @param where a port of this machine, an address as the bootstrap tells it, or nothing. */
function connectTo(where: number | string | undefined): Promise<Socket> {
  if (where === undefined) return Promise.reject(new Error('it listens nowhere that is known: name its port'));
  const [, host = '', port] = /^(.*):(\d+)$/.exec(String(where)) ?? [];
  const any = ['[::]', '0.0.0.0', '*'].includes(host);
  const options =
    typeof where === 'number'
      ? { port: where, host: 'localhost' }
      : port === undefined
        ? { path: where }
        : { port: Number(port), host: any ? 'localhost' : host.replace(/^\[|\]$/g, '') };
  return new Promise((resolve, reject) => {
    const socket = connect(options);
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.off('error', reject);
      resolve(socket);
    });
  });
}
