import type { Socket } from 'node:net';
import { signalName } from '../domain/signal-name.ts';
import { UpkeepError } from '../protocol/errors.ts';
import { Listener } from '../protocol/listener.ts';
import { type DaemonMethods, PROTOCOL_VERSION } from '../protocol/messages.ts';
import { Peer } from '../protocol/peer.ts';
import { daemonParams, validate } from '../protocol/schema.ts';
import type { Daemon } from './daemon.ts';
import { Staged } from './staged.ts';

export interface DaemonInfo {
  readonly version: string;
  readonly log: (line: string) => void;
  readonly onKilled: () => void;
  /** Another daemon is to come. */
  readonly onLeft: () => void;
}

export interface DaemonServerOptions extends DaemonInfo {
  readonly socketPath: string;
}

type Handlers = {
  readonly [M in keyof DaemonMethods]: (
    params: DaemonMethods[M]['params'],
    staged: Staged,
  ) => Promise<DaemonMethods[M]['result']> | DaemonMethods[M]['result'];
};

/** What is under way is awaited for this long before a daemon makes way for another. */
const LEAVE_MS = 60_000;

const QUESTIONS: ReadonlySet<string> = new Set(['ping', 'list', 'describe', 'stage']);

/** What talks to each connection, once the daemon is ready. */
export function daemonConnections(daemon: Daemon, ready: Promise<void>, options: DaemonInfo): (socket: Socket) => void {
  /** Operations that are under way. */
  const underWay = new Set<Promise<unknown>>();
  const peers = new Set<Peer>();
  let onIdle = (): void => {};
  let leaving = false;
  /** Idle: nobody but the one who asks is connected, and nothing is under way. */
  const lookIfIdle = (): void => {
    if (peers.size === 1 && underWay.size === 0) onIdle();
  };
  const handlers: Handlers = {
    ping: () => ({
      version: options.version,
      pid: process.pid,
      uptimeMs: Math.round(performance.now()),
      waitsFor: daemon.waitsFor,
    }),
    list: () => {
      daemon.views.sample();
      return daemon.views.list();
    },
    describe: ({ selectors }) => {
      daemon.views.sample();
      return daemon.views.describe(selectors);
    },
    stage: ({ specs }, staged) => {
      staged.add(specs);
      return {};
    },
    apply: (params, staged) => daemon.apply({ ...params, specs: [...staged.take(), ...params.specs] }),
    operate: (params) => daemon.operate(params),
    rollback: ({ selectors, force }) => daemon.rollback(selectors, force),
    scale: ({ selector, change }) => daemon.scale(selector, change),
    signal: ({ selectors, signal }) => daemon.signal(selectors, knownSignal(signal)),
    flush: ({ selectors }) => daemon.flushLogs(selectors),
    reloadLogs: () => daemon.reloadLogs(),
    leave: async ({ whenIdle = false }) => {
      if (whenIdle) {
        await new Promise<void>((resolve) => {
          onIdle = resolve;
          lookIfIdle();
        });
      }
      await allEnd(underWay);
      leaving = whenIdle;
      await daemon.leave().catch((error: unknown) => {
        leaving = false;
        throw error;
      });
      setTimeout(options.onLeft, 10);
      return {};
    },
    updateSupervisors: () => daemon.updateSupervisors(options.version),
    kill: async () => {
      const stopped = await daemon.kill();
      // The answer goes out first.
      setTimeout(options.onKilled, 10);
      return { stopped };
    },
    save: ({ force }) => daemon.save(force),
    resurrect: () => daemon.resurrect(),
    cleardump: () => daemon.clearDump(),
  };
  const answer = async (method: string, params: unknown, staged: Staged): Promise<unknown> => {
    if (!isMethod(method)) throw new UpkeepError('METHOD_UNKNOWN', `no such method: ${method.slice(0, 80)}`);
    await ready;
    const answer = Promise.resolve(call(handlers, method, params, staged));
    if (QUESTIONS.has(method)) return answer;
    if (method !== 'leave') underWay.add(answer);
    try {
      return await answer;
    } finally {
      underWay.delete(answer);
      daemon.views.publish();
      lookIfIdle();
    }
  };

  return (socket) => {
    // Who comes now is to find the other one.
    if (leaving) {
      socket.destroy();
      return;
    }
    const staged = new Staged();
    const peer = new Peer(socket, {
      onRequest: (method, params) => answer(method, params, staged),
      onClose: () => {
        peers.delete(peer);
        lookIfIdle();
      },
    });
    peers.add(peer);
    peer.hello({
      role: 'daemon',
      version: options.version,
      protocol: PROTOCOL_VERSION,
      pid: process.pid,
      problems: daemon.views.problems,
    });
  };
}

/** Offers the daemon on its unix socket. The caller holds the daemon's lock. */
export async function serveDaemon(
  daemon: Daemon,
  ready: Promise<void>,
  options: DaemonServerOptions,
): Promise<Listener> {
  const listener = new Listener(options.socketPath, daemonConnections(daemon, ready, options), options.log);
  await listener.listen();
  return listener;
}

/** @throws UpkeepError APP_BUSY when they take too long. */
async function allEnd(underWay: ReadonlySet<Promise<unknown>>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(resolve, LEAVE_MS, 'late');
  });
  const ended = await Promise.race([Promise.allSettled(underWay), late]);
  clearTimeout(timer);
  if (ended !== 'late') return;
  throw new UpkeepError('APP_BUSY', `a command is still under way after ${LEAVE_MS} ms`);
}

function isMethod(method: string): method is keyof DaemonMethods {
  return Object.hasOwn(daemonParams, method);
}

function call<M extends keyof DaemonMethods>(handlers: Handlers, method: M, params: unknown, staged: Staged): unknown {
  return handlers[method](validate(daemonParams[method], params, method), staged);
}

function knownSignal(given: string): string {
  const name = signalName(given);
  if (name === null) throw new UpkeepError('SIGNAL_UNKNOWN', `there is no signal ${given}`);
  return name;
}
