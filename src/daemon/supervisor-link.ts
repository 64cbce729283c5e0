import { UpkeepError } from '../protocol/errors.ts';
import { MAX_ANSWER_BYTES } from '../protocol/framing.ts';
import {
  type AppSnapshot,
  type Hello,
  type InstanceSnapshot,
  OLDEST_SUPERVISOR,
  PROTOCOL_VERSION,
  type SupervisorEvents,
  type SupervisorMethods,
} from '../protocol/messages.ts';
import type { Peer } from '../protocol/peer.ts';
import { shiftTimes } from '../protocol/times.ts';
import type { DaemonPorts } from './ports.ts';

/** Questions, as opposed to operations, which have deadlines of their own, are answered within this time. */
export const QUESTION_MS = 10_000;

export interface LinkEvents {
  readonly changed: () => void;
  /** Once, also where it was never open. */
  readonly closed: (link: SupervisorLink) => void;
}

/** The connection to one supervisor, and what it last said of its instances. */
export class SupervisorLink {
  readonly key: string;
  /** Resolves when the connection has ended. */
  readonly closed: Promise<void>;
  readonly #ports: DaemonPorts;
  readonly #on: LinkEvents;
  /** Their times are those of `elapsed`. */
  readonly #instances = new Map<number, InstanceSnapshot>();
  /** Told of by events: these are newer than the first answer, whichever is read first. */
  readonly #touched = new Set<number>();
  #onClosed = (): void => {};
  #hello: Hello | null = null;
  #peer: Peer | null = null;

  private constructor(ports: DaemonPorts, key: string, on: LinkEvents) {
    this.#ports = ports;
    this.key = key;
    this.#on = on;
    this.closed = new Promise((resolve) => {
      this.#onClosed = resolve;
    });
  }

  /**
   * @returns the apps of the supervisor, too.
   * @throws UpkeepError PROTOCOL_VERSION for one that cannot be spoken to; Error where none answers.
   */
  static async open(
    ports: DaemonPorts,
    key: string,
    on: LinkEvents,
  ): Promise<{ readonly link: SupervisorLink; readonly apps: readonly AppSnapshot[] }> {
    const link = new SupervisorLink(ports, key, on);
    return { link, apps: await link.#open() };
  }

  get version(): string {
    return this.#hello?.version ?? '';
  }

  /** The version of its Node.js, where it tells. */
  get node(): string | null {
    return this.#hello?.node ?? null;
  }

  /** It stood still when it was last needed, and has not been heard since. */
  get silent(): boolean {
    return this.#peer?.silent ?? false;
  }

  get instances(): ReadonlyMap<number, InstanceSnapshot> {
    return this.#instances;
  }

  /** An instance as people are told of it, in times of the wall clock. */
  told(snapshot: InstanceSnapshot): InstanceSnapshot {
    const told = shiftTimes(snapshot, this.#ports.epoch());
    return this.silent ? { ...told, unhealthy: `its supervisor, process ${this.#pid}, does not answer` } : told;
  }

  /** @throws UpkeepError SUPERVISOR_LOST where it ends, or stands still; or what it answered. */
  async request<M extends keyof SupervisorMethods>(
    method: M,
    params: SupervisorMethods[M]['params'],
    timeoutMs: number,
  ): Promise<SupervisorMethods[M]['result']> {
    try {
      return (await this.#peer?.request(method, params, timeoutMs)) as SupervisorMethods[M]['result'];
    } catch (error) {
      if (!(error instanceof UpkeepError)) throw error;
      if (error.code === 'PEER_SILENT') throw silent(this.#pid, error);
      if (error.code !== 'DAEMON_UNREACHABLE') throw error;
      throw new UpkeepError('SUPERVISOR_LOST', `supervisor ${this.key} ended before it answered`, { cause: error });
    }
  }

  /** Resolves when more may be sent. @throws UpkeepError SUPERVISOR_LOST where it stands still. */
  async room(): Promise<void> {
    await this.#peer?.room().catch((error: UpkeepError) => {
      throw silent(this.#pid, error);
    });
  }

  get #pid(): number {
    return this.#hello?.pid ?? 0;
  }

  async #open(): Promise<readonly AppSnapshot[]> {
    const peer = await this.#ports.connect(this.key, {
      maxFrameBytes: MAX_ANSWER_BYTES,
      onHello: (hello) => {
        this.#hello = hello;
      },
      onEvent: (event, data) => {
        if (event === 'changed') this.#onChanged(data as SupervisorEvents['changed']);
      },
      onClose: () => {
        this.#onClosed();
        this.#on.closed(this);
      },
    });
    this.#peer = peer;
    try {
      const params = { daemonCommand: this.#ports.daemonCommand, separately: true };
      const answer = await this.request('adopt', params, QUESTION_MS);
      // Its greeting comes before any answer.
      if (this.#hello) refuseOthers(this.key, this.#hello);
      const apps = answer.apps ?? (await this.request('apps', {}, QUESTION_MS));
      for (const snapshot of apps.flatMap(({ instances }) => instances)) {
        if (!this.#touched.has(snapshot.id)) this.#keep(snapshot);
      }
      return apps;
    } catch (error) {
      peer.destroy();
      throw error;
    }
  }

  #onChanged({ instances, removed }: SupervisorEvents['changed']): void {
    for (const snapshot of instances) {
      this.#keep(snapshot);
      this.#touched.add(snapshot.id);
    }
    for (const id of removed) {
      this.#instances.delete(id);
      this.#touched.add(id);
    }
    this.#on.changed();
  }

  #keep(snapshot: InstanceSnapshot): void {
    this.#instances.set(snapshot.id, shiftTimes(snapshot, -this.#ports.epoch()));
  }
}

/** @throws UpkeepError PROTOCOL_VERSION for a supervisor that cannot be spoken to; its apps go on all the same. */
function refuseOthers(key: string, { protocol, version, pid }: Hello): void {
  if (protocol >= OLDEST_SUPERVISOR && protocol <= PROTOCOL_VERSION) return;
  const versions = `is of version ${version}, protocol ${protocol}; this daemon speaks ${PROTOCOL_VERSION}`;
  const hint = `\`kill -9 ${pid}\`: another supervisor takes its place, and its apps go on`;
  throw new UpkeepError('PROTOCOL_VERSION', `supervisor ${key} ${versions}`, { hint });
}

function silent(pid: number, cause: UpkeepError): UpkeepError {
  const hint = `if it was stopped, \`kill -CONT ${pid}\`, and it does what it was told; else \`kill -9 ${pid}\`: another one takes its place, and its apps go on`;
  return new UpkeepError('SUPERVISOR_LOST', `its supervisor, process ${pid}, does not answer: ${cause.message}`, {
    cause,
    hint,
  });
}
