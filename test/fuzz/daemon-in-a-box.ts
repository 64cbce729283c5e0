import type { Socket } from 'node:net';
import { duplexPair } from 'node:stream';
import { Client } from '../../src/client/client.ts';
import { Daemon } from '../../src/daemon/daemon.ts';
import { Dump } from '../../src/daemon/dump.ts';
import { Journal } from '../../src/daemon/journal.ts';
import { Registry } from '../../src/daemon/registry.ts';
import { daemonConnections } from '../../src/daemon/server.ts';
import { Sampler } from '../../src/metrics/sampler.ts';
import { PROTOCOL_VERSION } from '../../src/protocol/messages.ts';
import { Peer } from '../../src/protocol/peer.ts';
import { FakeDisk } from '../fakes/disk.ts';
import { FakeMachine } from '../fakes/machine.ts';

const hello = { role: 'daemon', version: '0.0.0-test', protocol: PROTOCOL_VERSION, pid: 1 } as const;

/** Nowhere: what would be saved is refused. */
const DUMP = '/nowhere/dump.json';

/** A whole daemon with its supervisors, real but for the operating system: nothing is started, or written anywhere. */
export class BoxedDaemon {
  readonly machine = new FakeMachine();
  readonly registry: Registry;
  readonly daemon: Daemon;
  readonly #talk: (socket: Socket) => void;

  constructor(registry: Registry = new Registry()) {
    this.registry = registry;
    const journal = new Journal('/home/state.json', () => registry.apps, undefined, new FakeDisk());
    this.daemon = new Daemon(this.machine, registry, journal, new Dump(DUMP), new Sampler(() => []));
    this.#talk = daemonConnections(this.daemon, this.daemon.resume(), {
      version: hello.version,
      log: () => {},
      onKilled: () => {},
      onLeft: () => {},
    });
  }

  /** @returns the client's end of a new connection. */
  connect(): Socket {
    const [near, far] = duplexPair() as unknown as [Socket, Socket];
    // As a real socket has it.
    Object.assign(far, { destroySoon: () => far.end() });
    this.#talk(far);
    return near;
  }

  /** Its connections are closed, and nothing is started any more. */
  end(): void {
    this.machine.startFailure = new Error('the machine is gone');
    for (const supervisor of this.machine.supervisors.values()) supervisor.die();
  }

  client(): Client {
    return new Client(new Peer(this.connect()), hello, new Promise(() => {}));
  }
}
