import { chmodSync, rmSync, truncateSync } from 'node:fs';
import { createServer } from 'node:net';
import { signalName } from '../domain/signal-name.ts';
import { UpkeepError } from '../protocol/errors.ts';
import { type DaemonMethods, PROTOCOL_VERSION } from '../protocol/messages.ts';
import { Peer } from '../protocol/peer.ts';
import { daemonParams, validate } from '../protocol/schema.ts';
import type { Daemon } from './daemon.ts';

export interface DaemonServerOptions {
  readonly socketPath: string;
  readonly version: string;
  readonly startedAt: number;
  readonly onKilled: () => void;
  /** Another daemon is to come. */
  readonly onLeft: () => void;
}

type Handlers = {
  readonly [M in keyof DaemonMethods]: (
    params: DaemonMethods[M]['params'],
  ) => Promise<DaemonMethods[M]['result']> | DaemonMethods[M]['result'];
};

const QUESTIONS: ReadonlySet<string> = new Set(['ping', 'list', 'describe']);

/** Offers the daemon on its unix socket. The caller holds the daemon's lock. */
export function serveDaemon(daemon: Daemon, ready: Promise<void>, options: DaemonServerOptions): Promise<void> {
  const handlers: Handlers = {
    ping: () => ({ version: options.version, pid: process.pid, uptimeMs: Date.now() - options.startedAt }),
    list: () => {
      daemon.sample();
      return daemon.list();
    },
    describe: ({ selectors }) => {
      daemon.sample();
      return daemon.describe(selectors);
    },
    apply: (params) => daemon.apply(params),
    operate: (params) => daemon.operate(params),
    rollback: ({ selectors }) => daemon.rollback(selectors),
    scale: ({ selector, change }) => daemon.scale(selector, change),
    signal: ({ selectors, signal }) => daemon.signal(selectors, knownSignal(signal)),
    flush: ({ selectors }) => flush(daemon, selectors),
    leave: async () => {
      await daemon.leave();
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
  };
  const answer = async (method: string, params: unknown): Promise<unknown> => {
    if (!isMethod(method)) throw new UpkeepError('METHOD_UNKNOWN', `no such method: ${method.slice(0, 80)}`);
    await ready;
    if (QUESTIONS.has(method)) return call(handlers, method, params);
    try {
      return await call(handlers, method, params);
    } finally {
      daemon.publish();
    }
  };

  const server = createServer((socket) => {
    new Peer(socket, { onRequest: answer }).hello({
      role: 'daemon',
      version: options.version,
      protocol: PROTOCOL_VERSION,
      pid: process.pid,
    });
  });
  return new Promise((resolve, reject) => {
    rmSync(options.socketPath, { force: true });
    server.once('error', reject);
    server.listen(options.socketPath, () => {
      chmodSync(options.socketPath, 0o600);
      resolve();
    });
  });
}

function isMethod(method: string): method is keyof DaemonMethods {
  return Object.hasOwn(daemonParams, method);
}

function call<M extends keyof DaemonMethods>(handlers: Handlers, method: M, params: unknown): unknown {
  return handlers[method](validate(daemonParams[method], params, method));
}

function knownSignal(given: string): string {
  const name = signalName(given);
  if (name === null) throw new UpkeepError('SIGNAL_UNKNOWN', `there is no signal ${given}`);
  return name;
}

/** Empties the log files. @returns their paths. */
function flush(daemon: Daemon, selectors: readonly string[]): string[] {
  const instances = daemon.describe(selectors).flatMap((app) => app.instances);
  const paths = new Set(instances.flatMap(({ logs }) => [logs.out, logs.error, logs.combined]));
  return [...paths].flatMap((path) => {
    if (path === null || path.startsWith('/dev/')) return [];
    try {
      truncateSync(path);
      return path;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw error;
    }
  });
}
