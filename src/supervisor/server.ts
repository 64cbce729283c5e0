import type { Socket } from 'node:net';
import { UpkeepError } from '../protocol/errors.ts';
import { Listener } from '../protocol/listener.ts';
import { PROTOCOL_VERSION } from '../protocol/messages.ts';
import { Peer } from '../protocol/peer.ts';
import { supervisorParams, validate } from '../protocol/schema.ts';
import type { Supervisor } from './supervisor.ts';

/** A daemon that another one is to follow is followed within this time. */
const SUCCESSOR_MS = 15_000;

export interface SupervisorServer {
  readonly broadcast: (event: string, data: unknown) => void;
  /** Where its socket is gone. */
  readonly listenAgain: () => Promise<void>;
  /** Stops all apps, then this process. They are wanted still: a daemon that runs starts them again. */
  readonly terminate: () => Promise<void>;
}

export interface ServerOptions {
  readonly socketPath: string;
  readonly version: string;
  readonly complain: (line: string) => void;
  readonly onAdopted: () => void;
  /** The daemon's connection ended although it did not say that it would. */
  readonly onOrphaned: (daemonCommand: readonly string[]) => void;
  readonly onTerminating: () => void;
  readonly onShutdown: () => void;
  /** Everything is left to the next supervisor. */
  readonly onHandedOver: () => void;
}

/** Offers a supervisor on its unix socket. The caller holds the lock of that socket. */
export async function serveSupervisor(supervisor: Supervisor, options: ServerOptions): Promise<SupervisorServer> {
  const peers = new Set<Peer>();
  let daemon: Peer | null = null;
  let shuttingDown = false;

  const talk = (socket: Socket): void => {
    let daemonCommand: readonly string[] | null = null;
    let released = false;
    const peer: Peer = new Peer(socket, {
      onRequest: async (method, params) => {
        switch (method) {
          case 'adopt': {
            const { separately, ...adopt } = validate(supervisorParams.adopt, params, method);
            daemonCommand = adopt.daemonCommand;
            daemon = peer;
            options.onAdopted();
            return { apps: separately ? null : supervisor.snapshot() };
          }
          case 'apps':
            return supervisor.snapshot();
          case 'run':
            return supervisor.run(validate(supervisorParams.run, params, method));
          case 'signal': {
            const { ids, signal } = validate(supervisorParams.signal, params, method);
            return supervisor.signal(ids, signal);
          }
          case 'reopenLogs':
            supervisor.reopenLogs();
            // What could not be opened is told first.
            await new Promise(setImmediate);
            return {};
          case 'shutdown': {
            shuttingDown = true;
            const stopped = await supervisor.shutdown();
            // The answer goes out first.
            setImmediate(() => {
              peer.end();
              options.onShutdown();
            });
            return { stopped };
          }
          case 'release':
            released = true;
            return {};
          case 'handOver': {
            await supervisor.handOver();
            shuttingDown = true;
            setImmediate(() => {
              peer.end();
              options.onHandedOver();
            });
            return {};
          }
          default:
            throw new UpkeepError('METHOD_UNKNOWN', `no such method: ${method.slice(0, 80)}`);
        }
      },
      onClose: () => {
        peers.delete(peer);
        if (daemon !== peer) return;
        daemon = null;
        const command = daemonCommand;
        if (!command || shuttingDown) return;
        if (!released) return options.onOrphaned(command);
        // Should the one that was to come not come.
        setTimeout(() => daemon ?? options.onOrphaned(command), SUCCESSOR_MS);
      },
    });
    const { pid, versions } = process;
    const { version } = options;
    peer.hello({ role: 'supervisor', version, protocol: PROTOCOL_VERSION, pid, node: versions.node });
    peers.add(peer);
  };

  const listener = new Listener(options.socketPath, talk, options.complain);
  await listener.listen();
  return {
    listenAgain: () => listener.listen(),
    broadcast: (event, data) => {
      for (const peer of peers) peer.notify(event, data);
    },
    terminate: async () => {
      if (shuttingDown) return;
      shuttingDown = true;
      options.onTerminating();
      await supervisor.shutdown();
      options.onShutdown();
    },
  };
}
