import type { Socket } from 'node:net';
import { duplexPair } from 'node:stream';
import type { DaemonPorts } from '../../src/daemon/ports.ts';
import {
  type EmptiedLogs,
  type LogPath,
  PROTOCOL_VERSION,
  type RunParams,
  type SupervisorMethods,
} from '../../src/protocol/messages.ts';
import { Peer, type PeerHandlers } from '../../src/protocol/peer.ts';
import { Supervisor } from '../../src/supervisor/supervisor.ts';
import { FakePorts } from './ports.ts';

/** A supervisor process: the real supervisor in a fake world, and its connections. */
export class FakeSupervisor {
  readonly ports: FakePorts;
  readonly exec: string;
  readonly version: string;
  protocol = PROTOCOL_VERSION;
  /** It knows nothing of lists in pieces. */
  isOld = false;
  readonly runs: RunParams[] = [];
  readonly supervisor: Supervisor;
  ended = false;
  /** Set, and it answers nothing until that has happened. */
  stands: Promise<void> | null = null;
  readonly #sockets: Socket[] = [];
  readonly #peers: Peer[] = [];

  /** @param ports the world that a supervisor before has left. */
  constructor(exec: string, ports = new FakePorts(), version = '0.0.0-test') {
    this.exec = exec;
    this.ports = ports;
    this.version = version;
    // What is ready stays so, and time passes.
    ports.launcher.onTrial = (process) => {
      process.emit({ kind: 'answered', status: 200 });
      setImmediate(() => void ports.clock.advance(500));
    };
    this.supervisor = new Supervisor(this.ports, (changed) => {
      for (const peer of this.#peers) peer.notify('changed', changed);
    });
  }

  /** @returns the daemon's end of a new connection. */
  connect(handlers: PeerHandlers): Peer {
    if (this.ended) throw new Error('ECONNREFUSED');
    const [near, far] = duplexPair() as unknown as [Socket, Socket];
    this.#sockets.push(near, far);
    const peer = new Peer(far, {
      onRequest: async (method, params) => {
        await this.stands;
        return this.#answer(method, params);
      },
    });
    this.#peers.push(peer);
    const daemon = new Peer(near, { ...handlers, beatMs: 20 });
    peer.hello({ role: 'supervisor', version: this.version, protocol: this.protocol, pid: 1 });
    return daemon;
  }

  /** Ends as by SIGKILL: what it ran goes on without it. */
  die(): void {
    this.ended = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Stands still as by SIGSTOP: it does not even say that it lives. */
  stop(): void {
    for (const socket of this.#sockets) socket.pause();
  }

  /** The daemon is gone, the supervisor is not. */
  disconnect(): void {
    this.#peers.length = 0;
    for (const socket of this.#sockets.splice(0)) socket.destroy();
  }

  async #answer(method: string, params: unknown): Promise<unknown> {
    switch (method as keyof SupervisorMethods) {
      case 'adopt':
        return { apps: this.isOld ? this.supervisor.snapshot() : null };
      case 'apps':
        return this.supervisor.snapshot();
      case 'run':
        this.runs.push(params as RunParams);
        return this.supervisor.run(params as RunParams);
      case 'signal': {
        const { ids, signal } = params as SupervisorMethods['signal']['params'];
        return this.supervisor.signal(ids, signal);
      }
      case 'release':
        return {};
      case 'handOver': {
        await this.supervisor.handOver();
        setImmediate(() => this.die());
        return {};
      }
      case 'reopenLogs':
        this.supervisor.reopenLogs();
        return {};
      case 'shutdown': {
        const stopped = await this.supervisor.shutdown();
        setImmediate(() => this.die());
        return { stopped };
      }
    }
  }
}

/** All that a daemon knows of the operating system. Supervisors outlive the daemons that started them. */
export class FakeMachine implements DaemonPorts {
  writeStatus(): void {}

  readonly supervisors = new Map<string, FakeSupervisor>();
  readonly lines: string[] = [];
  readonly daemonCommand = ['node', 'daemon.cjs'];
  /** Called with each supervisor before it is asked anything. */
  onStart: (supervisor: FakeSupervisor, key: string) => void = () => {};
  #now = 1_700_000_000_000;

  readonly supervisorKeys = (): readonly string[] => [...this.supervisors.keys()];

  readonly hasLeft = (key: string): boolean => (this.supervisors.get(key)?.ports.ledger.read().size ?? 0) > 0;

  readonly connect = async (key: string, handlers: PeerHandlers): Promise<Peer> => {
    const supervisor = this.supervisors.get(key);
    if (!supervisor) throw new Error('ENOENT');
    return supervisor.connect(handlers);
  };

  /** Set, and no supervisor can be started. */
  startFailure: Error | null = null;

  readonly startSupervisor = async (key: string, exec: string): Promise<void> => {
    if (this.startFailure) throw this.startFailure;
    const before = this.supervisors.get(key);
    // Its lock lets no other one through.
    if (before && !before.ended) return;
    const supervisor = new FakeSupervisor(exec, before?.ports);
    this.supervisors.set(key, supervisor);
    this.onStart(supervisor, key);
    await supervisor.supervisor.resume();
  };

  /** Where paths lead that are, or hold, a symbolic link; null for nowhere. */
  readonly links = new Map<string, string | null>();
  readonly resolveLinks = (path: string): string | null => {
    const target = this.links.get(path);
    return target === undefined ? path : target;
  };

  /** What symbolic links say. */
  readonly targets = new Map<string, string>();
  readonly isExecutable = (): boolean => true;
  readonly readLink = (path: string): string | null => this.targets.get(path) ?? null;

  readonly emptied: string[] = [];
  /** Logs that cannot be emptied. */
  readonly closedLogs = new Set<string>();
  readonly emptyLogs = (logs: readonly LogPath[]): EmptiedLogs => {
    const paths = logs.map(({ path }) => path);
    const emptied = paths.filter((path) => !this.closedLogs.has(path));
    this.emptied.push(...emptied);
    return {
      emptied,
      problems: paths.filter((path) => this.closedLogs.has(path)).map((path) => `cannot empty ${path}`),
    };
  };

  readonly trimLogs = async (): Promise<void> => {};

  readonly log = (line: string): void => {
    this.lines.push(line);
  };

  readonly now = (): number => this.#now++ + this.ahead;
  readonly elapsed = (): number => this.#now++;

  readonly epoch = (): number => this.ahead;
  /** By how much the wall clock was set ahead since the machine started. */
  ahead = 0;

  setClock(ahead: number): void {
    this.ahead = ahead;
    for (const { ports } of this.supervisors.values()) ports.clock.ahead = ahead;
  }

  /** The only supervisor whose key is not `shared`. */
  get clusterSupervisor(): FakeSupervisor {
    const found = [...this.supervisors].filter(([key, { ended }]) => key !== 'shared' && !ended);
    if (found.length !== 1) throw new Error(`there are ${found.length} supervisors of clusters`);
    return (found[0] as [string, FakeSupervisor])[1];
  }

  get shared(): FakeSupervisor {
    const shared = this.supervisors.get('shared');
    if (!shared) throw new Error('there is no shared supervisor');
    return shared;
  }
}
