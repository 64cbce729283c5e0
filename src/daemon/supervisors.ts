import { UpkeepError } from '../protocol/errors.ts';
import { SHARED_SUPERVISOR } from '../protocol/home.ts';
import {
  type AppRecord,
  type AppSnapshot,
  type Hello,
  type InstanceSnapshot,
  OLDEST_SUPERVISOR,
  type Outcome,
  PROTOCOL_VERSION,
  type RunParams,
  type SupervisorEvents,
  type SupervisorMethods,
  type SupervisorUpdate,
} from '../protocol/messages.ts';
import type { Peer } from '../protocol/peer.ts';
import type { DaemonPorts } from './ports.ts';

/** Questions, as opposed to operations, which have deadlines of their own, are answered within this time. */
const QUESTION_MS = 10_000;

interface Link {
  readonly key: string;
  readonly version: string;
  readonly peer: Peer;
  readonly instances: Map<number, InstanceSnapshot>;
}

/** @returns which supervisor runs an app. */
export function supervisorKeyOf(app: Pick<AppRecord, 'key' | 'spec'>): string {
  return app.spec.mode === 'cluster' ? app.key : SHARED_SUPERVISOR;
}

/** The connections to all supervisors, and what they last said of their instances. */
export class Supervisors {
  readonly #ports: DaemonPorts;
  readonly #onLost: (key: string, instances: readonly InstanceSnapshot[]) => void;
  readonly #onChanged: () => void;
  readonly #links = new Map<string, Promise<Link>>();
  readonly #ready = new Map<string, Link>();
  #closing = false;

  /** @param onLost called when a supervisor is gone that should be there. */
  constructor(
    ports: DaemonPorts,
    onLost: (key: string, instances: readonly InstanceSnapshot[]) => void,
    onChanged: () => void,
  ) {
    this.#ports = ports;
    this.#onLost = onLost;
    this.#onChanged = onChanged;
  }

  /**
   * Connects to every supervisor that is alive, and starts those anew that have left apps behind.
   * @param execOf the Node.js that runs a supervisor.
   * @returns the apps that they run.
   */
  async adoptAll(execOf: (key: string) => string): Promise<readonly AppSnapshot[]> {
    const adopted = await Promise.all(
      this.#ports.supervisorKeys().map(async (key) => {
        try {
          return await this.#adopt(key).catch(async (error: unknown) => {
            if (isRefusal(error)) this.#ports.log(`${error.message}: ${error.hint}`);
            if (isRefusal(error) || !this.#ports.hasLeft(key)) throw error;
            this.#ports.log(`supervisor ${key} is gone; another one goes on with its apps`);
            await this.#ports.startSupervisor(key, execOf(key));
            return this.#adopt(key);
          });
        } catch {
          // A socket without its process, as after a reboot.
          return null;
        }
      }),
    );
    return adopted.flatMap((result) => {
      if (!result) return [];
      this.#links.set(result.link.key, Promise.resolve(result.link));
      return result.apps;
    });
  }

  instances(): readonly InstanceSnapshot[] {
    return [...this.#ready.values()].flatMap(({ instances }) => [...instances.values()]);
  }

  instance(id: number): InstanceSnapshot | null {
    for (const { instances } of this.#ready.values()) {
      const found = instances.get(id);
      if (found) return found;
    }
    return null;
  }

  /** Whether the supervisor of an app is there, or being started: else nothing of the app can run. */
  has(app: AppRecord): boolean {
    return this.#links.has(supervisorKeyOf(app));
  }

  /** Performs one operation, at each supervisor on its own apps. What a supervisor refuses is the outcome of its apps. */
  async run(params: RunParams): Promise<readonly Outcome[]> {
    const outcomes = await Promise.all(
      [...groupBy(params.apps, supervisorKeyOf)].map(async ([key, apps]) => {
        const wanted = apps.flatMap(({ spec, slots }) => slots.map(({ id }) => ({ id, name: spec.name })));
        const concerned = wanted.filter(({ id }) => params.ids.includes(id));
        try {
          const link = await this.#link(key, apps[0]?.spec.program.exec ?? '');
          return await this.#request(link, 'run', { ...params, apps, ids: concerned.map(({ id }) => id) }, 0);
        } catch (error) {
          const { message, hint } = UpkeepError.from(error);
          return concerned.map(({ id, name }) => ({ id, name, ok: false, reason: message, hint, stderr: [] }));
        }
      }),
    );
    return outcomes.flat();
  }

  async signal(ids: readonly number[], signal: string): Promise<readonly number[]> {
    const pids = [...this.#ready.values()].map((link) => this.#request(link, 'signal', { ids, signal }, QUESTION_MS));
    return (await Promise.all(pids)).flat();
  }

  /** Starts one that is gone. @throws UpkeepError SUPERVISOR_LOST. */
  async revive(key: string, exec: string): Promise<void> {
    await this.#link(key, exec);
  }

  /** The daemon is about to end, for another one to come. */
  async release(): Promise<void> {
    this.#closing = true;
    const links = [...this.#ready.values()];
    await Promise.allSettled(links.map((link) => this.#request(link, 'release', {}, QUESTION_MS)));
  }

  /** Replaces the supervisors of other versions, one after the other; their apps go on. */
  async update(ownVersion: string, execOf: (key: string) => string): Promise<readonly SupervisorUpdate[]> {
    const updates: SupervisorUpdate[] = [];
    for (const link of [...this.#ready.values()].filter(({ version }) => version !== ownVersion)) {
      const { key, version: from } = link;
      const apps = [...new Set([...link.instances.values()].map((snapshot) => snapshot.key))];
      const replaced = this.#replace(link, execOf(key));
      const problem = await replaced.then(
        () => null,
        (error: unknown) => UpkeepError.from(error).message,
      );
      updates.push({ apps, from, problem });
    }
    return updates;
  }

  async #replace(link: Link, exec: string): Promise<void> {
    const { key } = link;
    await this.#request(link, 'handOver', {}, QUESTION_MS);
    this.#drop(link);
    await this.#link(key, exec);
  }

  async reopenLogs(): Promise<void> {
    const answers = [...this.#ready.values()].map((link) => this.#request(link, 'reopenLogs', {}, QUESTION_MS));
    const failed = (await Promise.allSettled(answers)).find(({ status }) => status === 'rejected');
    // It looks for its files now and then anyway.
    if (failed) this.#ports.log(`not all logs were opened anew: ${String((failed as PromiseRejectedResult).reason)}`);
  }

  /** Ends the supervisor of an app that is gone. */
  async retire(key: string): Promise<void> {
    const link = this.#ready.get(key);
    if (!link || link.instances.size > 0) return;
    this.#drop(link);
    await this.#request(link, 'shutdown', {}, QUESTION_MS).catch(() => {});
  }

  /** Stops everything everywhere. @returns how many processes were stopped. */
  async shutdownAll(): Promise<number> {
    this.#closing = true;
    const links = await Promise.allSettled(this.#links.values());
    const stopped = links.map(async (result) => {
      if (result.status === 'rejected') return 0;
      return (await this.#request(result.value, 'shutdown', {}, 0)).stopped;
    });
    return (await Promise.all(stopped)).reduce((sum, count) => sum + count, 0);
  }

  #link(key: string, exec: string): Promise<Link> {
    const known = this.#links.get(key);
    if (known) return known;
    const starting = (async () => {
      try {
        await this.#ports.startSupervisor(key, exec);
        return (await this.#adopt(key)).link;
      } catch (cause) {
        if (isRefusal(cause)) throw cause;
        const node = key === SHARED_SUPERVISOR ? null : `is ${exec} a Node.js of version 20.19 or later?`;
        const hint = node ?? 'daemon.log in the home may tell why';
        throw new UpkeepError('SUPERVISOR_LOST', `its supervisor did not start: ${(cause as Error).message}`, {
          cause,
          hint,
        });
      }
    })();
    this.#links.set(key, starting);
    starting.catch(() => this.#links.delete(key));
    return starting;
  }

  async #adopt(key: string): Promise<{ link: Link; apps: readonly AppSnapshot[] }> {
    const instances = new Map<number, InstanceSnapshot>();
    /** Told of by events: these are newer than the snapshot, whichever is read first. */
    const touched = new Set<number>();
    let link: Link | null = null;
    let version = '';
    let refusal: UpkeepError | null = null;
    const peer = await this.#ports.connect(key, {
      onHello: (hello) => {
        version = hello.version;
        refusal = refusalOf(key, hello);
      },
      onEvent: (event, data) => {
        if (event !== 'changed') return;
        const { instances: changed, removed } = data as SupervisorEvents['changed'];
        for (const snapshot of changed) {
          instances.set(snapshot.id, snapshot);
          touched.add(snapshot.id);
        }
        for (const id of removed) {
          instances.delete(id);
          touched.add(id);
        }
        this.#onChanged();
      },
      onClose: () => {
        if (!link || this.#ready.get(key) !== link) return;
        this.#drop(link);
        if (!this.#closing) this.#onLost(key, [...instances.values()]);
      },
    });
    const params = { daemonCommand: this.#ports.daemonCommand };
    const { apps } = (await peer.request('adopt', params, QUESTION_MS)) as SupervisorMethods['adopt']['result'];
    // Its greeting comes before any answer.
    if (refusal) {
      peer.destroy();
      throw refusal;
    }
    for (const snapshot of apps.flatMap((app) => app.instances)) {
      if (!touched.has(snapshot.id)) instances.set(snapshot.id, snapshot);
    }
    link = { key, version, peer, instances };
    this.#ready.set(key, link);
    return { link, apps };
  }

  #drop({ key }: Link): void {
    this.#ready.delete(key);
    this.#links.delete(key);
  }

  async #request<M extends keyof SupervisorMethods>(
    { key, peer }: Link,
    method: M,
    params: SupervisorMethods[M]['params'],
    timeoutMs: number,
  ): Promise<SupervisorMethods[M]['result']> {
    try {
      return (await peer.request(method, params, timeoutMs)) as SupervisorMethods[M]['result'];
    } catch (error) {
      if (!(error instanceof UpkeepError) || error.code !== 'DAEMON_UNREACHABLE') throw error;
      throw new UpkeepError('SUPERVISOR_LOST', `supervisor ${key} ended before it answered`, { cause: error });
    }
  }
}

function isRefusal(error: unknown): error is UpkeepError {
  return error instanceof UpkeepError && error.code === 'PROTOCOL_VERSION';
}

/** A supervisor that cannot be spoken to; its apps go on whatever is done to it. */
function refusalOf(key: string, { protocol, version, pid }: Hello): UpkeepError | null {
  if (protocol >= OLDEST_SUPERVISOR && protocol <= PROTOCOL_VERSION) return null;
  const versions = `is of version ${version}, protocol ${protocol}; this daemon speaks ${PROTOCOL_VERSION}`;
  const hint = `\`kill -9 ${pid}\`: another supervisor takes its place, and its apps go on`;
  return new UpkeepError('PROTOCOL_VERSION', `supervisor ${key} ${versions}`, { hint });
}

/** Map.groupBy needs Node 21. */
function groupBy<T, K>(items: readonly T[], key: (item: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>();
  for (const item of items) groups.set(key(item), [...(groups.get(key(item)) ?? []), item]);
  return groups;
}
