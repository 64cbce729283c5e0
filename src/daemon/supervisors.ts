import { setTimeout as sleep } from 'node:timers/promises';
import { SHORT_HINT, shortageHint, shortageOf } from '../domain/shortage.ts';
import { UpkeepError } from '../protocol/errors.ts';
import { SHARED_SUPERVISOR } from '../protocol/home.ts';
import {
  type AppRecord,
  type AppSnapshot,
  type InstanceSnapshot,
  type OperationKind,
  type Outcome,
  type RunParams,
  type SupervisorUpdate,
} from '../protocol/messages.ts';
import { pieces } from '../protocol/pieces.ts';
import { shiftTimes } from '../protocol/times.ts';
import type { DaemonPorts } from './ports.ts';
import { QUESTION_MS, SupervisorLink } from './supervisor-link.ts';

/** A supervisor that has answered to its shutdown is gone within this time. */
const GONE_MS = 1000;
/** Nobody waits for longer than this for what the daemon finds when it starts. */
const ADOPT_MS = 3000;
const STARTS: ReadonlySet<OperationKind> = new Set(['start', 'restart', 'reload']);

export interface SupervisorsEvents {
  /** A supervisor is gone that should be there. */
  readonly lost: (key: string, instances: readonly InstanceSnapshot[]) => void;
  /** One that did not answer at first is there after all, with these apps; or it is gone, and there are none. */
  readonly found: (apps: readonly AppSnapshot[]) => void;
  /** These could not be started, for want of a supervisor. */
  readonly unstarted: (ids: readonly number[], reason: string) => void;
  readonly changed: () => void;
}

/** @returns which supervisor runs an app. */
export function supervisorKeyOf(app: Pick<AppRecord, 'key' | 'spec'>): string {
  return app.spec.mode === 'cluster' ? app.key : SHARED_SUPERVISOR;
}

/** The connections to all supervisors, and what they last said of their instances. */
export class Supervisors {
  readonly #ports: DaemonPorts;
  readonly #on: SupervisorsEvents;
  readonly #links = new Map<string, Promise<SupervisorLink>>();
  readonly #ready = new Map<string, SupervisorLink>();
  /** What those that were lost last said: it is true of their apps until others say more. */
  readonly #away = new Map<string, ReadonlyMap<number, InstanceSnapshot>>();
  /** Why there is no other one in the place of one that is away. */
  readonly #hindered = new Map<string, string>();
  readonly #awaited = new Set<string>();
  /** Those that are there, or have left apps, and could not be spoken to, nor others be started in their place. */
  readonly #unreached = new Set<string>();
  #closing = false;

  constructor(ports: DaemonPorts, on: SupervisorsEvents) {
    this.#ports = ports;
    this.#on = on;
  }

  /**
   * Connects to every supervisor that is alive, and starts those anew that have left apps behind.
   * @param execOf the Node.js that runs a supervisor.
   * @returns the apps that they run. Those of a supervisor that stands still are told later, by `found`.
   */
  async adoptAll(execOf: (key: string) => string): Promise<readonly AppSnapshot[]> {
    const found: AppSnapshot[] = [];
    let late = false;
    const adopting = this.#ports.supervisorKeys().map(async (key) => {
      const apps = await this.#adoptOrReplace(key, execOf(key));
      if (late) this.#on.found(apps);
      else found.push(...apps);
    });
    await Promise.race([Promise.all(adopting), sleep(ADOPT_MS, null, { ref: false })]);
    late = true;
    return found;
  }

  /** Whether the supervisor of an app may be there, and has not answered yet. */
  isAwaited(app: AppRecord): boolean {
    return this.#awaited.has(supervisorKeyOf(app));
  }

  /** @returns the apps of a supervisor; none where there is only a socket without its process, as after a reboot. */
  async #adoptOrReplace(key: string, exec: string): Promise<readonly AppSnapshot[]> {
    const adopted = this.#adopt(key).catch(async (error: unknown) => {
      if (isRefusal(error)) this.#ports.log(`${error.message}: ${error.hint}`);
      if (isRefusal(error) || !this.#ports.hasLeft(key)) throw error;
      this.#ports.log(`supervisor ${key} does not answer; where it is gone, another one goes on with its apps`);
      await this.#ports.startSupervisor(key, exec);
      return this.#adopt(key);
    });
    this.#keep(
      key,
      adopted.then(({ link }) => link),
    );
    this.#awaited.add(key);
    const apps = await adopted.then(
      (result) => result.apps,
      (error: unknown) => {
        if (isRefusal(error) || this.#ports.hasLeft(key)) this.#unreached.add(key);
        return [];
      },
    );
    this.#awaited.delete(key);
    return apps;
  }

  instances(): readonly InstanceSnapshot[] {
    return [...this.#ready.values()].flatMap((link) =>
      [...link.instances.values()].map((snapshot) => link.told(snapshot)),
    );
  }

  instance(id: number): InstanceSnapshot | null {
    for (const link of this.#ready.values()) {
      const found = link.instances.get(id);
      if (found) return link.told(found);
    }
    for (const [key, instances] of this.#away) {
      const found = instances.get(id);
      if (!found) continue;
      const why = this.#hindered.get(key) ?? 'another one is to come';
      const unhealthy = found.state.kind === 'stopped' ? null : `its supervisor is gone, ${why}`;
      return { ...shiftTimes(found, this.#ports.epoch()), unhealthy };
    }
    return null;
  }

  /** Whether the supervisor of an app is there, being started, or has left something: else nothing of the app can run. */
  has(app: AppRecord): boolean {
    const key = supervisorKeyOf(app);
    return this.#links.has(key) || this.#away.has(key) || this.#unreached.has(key);
  }

  /** The version of Node.js that the workers of a cluster run on, where its supervisor is there and tells. */
  nodeOf(app: AppRecord): string | null {
    return app.spec.mode === 'cluster' ? (this.#ready.get(supervisorKeyOf(app))?.node ?? null) : null;
  }

  /** Performs one operation, at each supervisor on its own apps. What a supervisor refuses is the outcome of its apps. */
  async run(params: RunParams): Promise<readonly Outcome[]> {
    const groups = [...groupBy(params.apps, supervisorKeyOf)];
    return (await Promise.all(groups.map(([key, apps]) => this.#runAt(key, { ...params, apps })))).flat();
  }

  /** Whatever the number of apps, nothing that is sent is long. */
  async #runAt(key: string, params: RunParams): Promise<readonly Outcome[]> {
    const ids = new Set(params.ids);
    const linking = (async () => this.#link(key, params.apps[0]?.spec.program.exec ?? ''))();
    const running: Promise<readonly Outcome[]>[] = [];
    for (const apps of pieces(params.apps)) {
      const concerned = apps.flatMap(({ spec, slots }) =>
        slots.filter(({ id }) => ids.has(id)).map(({ id }) => ({ id, name: spec.name })),
      );
      const ready = linking.then(async (link) => {
        await link.room();
        return link;
      });
      const outcomes = ready.then((link) =>
        link.request('run', { ...params, apps, ids: concerned.map(({ id }) => id) }, 0),
      );
      running.push(outcomes.catch((error: unknown) => this.#failed(params.kind, concerned, UpkeepError.from(error))));
      await ready.catch(() => {});
    }
    return (await Promise.all(running)).flat();
  }

  #failed(
    kind: OperationKind,
    concerned: readonly { readonly id: number; readonly name: string }[],
    { code, message, hint }: UpkeepError,
  ): readonly Outcome[] {
    if (code === 'SUPERVISOR_LOST' && STARTS.has(kind)) {
      const ids = concerned.map(({ id }) => id);
      this.#on.unstarted(ids, message);
    }
    const refused = code === 'APP_BUSY';
    return concerned.map(({ id, name }) => ({ id, name, ok: false, reason: message, hint, stderr: [], refused }));
  }

  async signal(ids: readonly number[], signal: string): Promise<readonly number[]> {
    const pids = [...this.#ready.values()].map((link) => link.request('signal', { ids, signal }, QUESTION_MS));
    return (await Promise.all(pids)).flat();
  }

  /** Whether one has been lost that no other one has followed yet. */
  isAway(key: string): boolean {
    return this.#away.has(key) && !this.#closing;
  }

  /** Starts one that is gone. @throws UpkeepError SUPERVISOR_LOST. */
  async revive(key: string, exec: string): Promise<void> {
    await this.#link(key, exec);
  }

  /** The daemon is about to end, for another one to come. */
  async release(): Promise<void> {
    this.#closing = true;
    const links = [...this.#ready.values()];
    await Promise.allSettled(links.map((link) => link.request('release', {}, QUESTION_MS)));
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

  async #replace(link: SupervisorLink, exec: string): Promise<void> {
    const { key } = link;
    await link.request('handOver', {}, QUESTION_MS);
    this.#drop(link);
    this.#away.set(key, link.instances);
    await this.#link(key, exec);
  }

  async reopenLogs(): Promise<void> {
    const answers = [...this.#ready.values()].map((link) => link.request('reopenLogs', {}, QUESTION_MS));
    const failed = (await Promise.allSettled(answers)).find(({ status }) => status === 'rejected');
    // It looks for its files now and then anyway.
    if (failed) this.#ports.log(`not all logs were opened anew: ${String((failed as PromiseRejectedResult).reason)}`);
  }

  /** Ends the supervisor of an app that is gone. */
  async retire(key: string): Promise<void> {
    const link = this.#ready.get(key);
    if (!link || link.instances.size > 0) return;
    this.#drop(link);
    await link.request('shutdown', {}, QUESTION_MS).catch(() => {});
  }

  /** Ends those of clusters that are not wanted, and run nothing. */
  async retireOthers(isWanted: (key: string) => boolean): Promise<void> {
    const others = [...this.#ready.keys()].filter((key) => key !== SHARED_SUPERVISOR && !isWanted(key));
    await Promise.all(others.map((key) => this.retire(key)));
  }

  /**
   * Stops everything everywhere, also what supervisors that are gone have left.
   * @returns how many processes were stopped; and of which supervisors the apps may still run, and why.
   */
  async shutdownAll(
    execOf: (key: string) => string,
  ): Promise<{ readonly stopped: number; readonly left: ReadonlyMap<string, UpkeepError> }> {
    this.#closing = true;
    const left = new Map<string, UpkeepError>();
    const keys = new Set([...this.#links.keys(), ...this.#away.keys(), ...this.#unreached]);
    const stopping = [...keys].map((key) =>
      this.#shutDown(key, execOf(key)).catch((error: unknown) => {
        left.set(key, UpkeepError.from(error));
        return 0;
      }),
    );
    const stopped = (await Promise.all(stopping)).reduce((sum, each) => sum + each, 0);
    this.#closing = left.size === 0;
    return { stopped, left };
  }

  /** One that ends before it is done is followed by another one, which does the rest. */
  async #shutDown(key: string, exec: string, again = true): Promise<number> {
    let link: SupervisorLink | null = null;
    try {
      link = await (this.#links.get(key) ?? this.#start(key, exec));
      const { stopped } = await link.request('shutdown', {}, 0);
      // With its end go its socket and its lock, which would make the next daemon look for it.
      await Promise.race([link.closed, sleep(GONE_MS, undefined, { ref: false })]);
      return stopped;
    } catch (error) {
      if (link?.silent) throw error;
      if (link) await Promise.race([link.closed, sleep(GONE_MS, undefined, { ref: false })]);
      if (!isRefusal(error) && !this.#ports.hasLeft(key)) return 0;
      if (!again || !link) throw error;
      return this.#shutDown(key, exec, false);
    }
  }

  #link(key: string, exec: string): Promise<SupervisorLink> {
    // It would outlive the end of all others.
    if (this.#closing && !this.#links.has(key)) {
      throw new UpkeepError('SUPERVISOR_LOST', 'the daemon is ending', { hint: null });
    }
    return this.#links.get(key) ?? this.#start(key, exec);
  }

  #start(key: string, exec: string): Promise<SupervisorLink> {
    const starting = (async () => {
      try {
        await this.#ports.startSupervisor(key, exec);
        return (await this.#adopt(key)).link;
      } catch (cause) {
        if (isRefusal(cause)) throw cause;
        this.#hindered.set(key, `and another one cannot be started: ${shortageOf(cause) ?? (cause as Error).message}`);
        throw notThere(key, exec, cause as Error);
      }
    })();
    this.#keep(key, starting);
    return starting;
  }

  #keep(key: string, link: Promise<SupervisorLink>): void {
    this.#links.set(key, link);
    link.catch(() => {
      if (this.#links.get(key) === link) this.#links.delete(key);
    });
  }

  async #adopt(key: string): Promise<{ link: SupervisorLink; apps: readonly AppSnapshot[] }> {
    const found = await SupervisorLink.open(this.#ports, key, {
      changed: this.#on.changed,
      closed: (link) => {
        if (this.#ready.get(key) !== link) return;
        this.#drop(link);
        this.#away.set(key, link.instances);
        if (!this.#closing) this.#on.lost(key, [...link.instances.values()]);
      },
    });
    this.#ready.set(key, found.link);
    this.#away.delete(key);
    this.#hindered.delete(key);
    this.#unreached.delete(key);
    return found;
  }

  #drop({ key }: SupervisorLink): void {
    this.#ready.delete(key);
    this.#links.delete(key);
  }
}

function isRefusal(error: unknown): error is UpkeepError {
  return error instanceof UpkeepError && error.code === 'PROTOCOL_VERSION';
}

/** Why there is no supervisor. */
function notThere(key: string, exec: string, cause: Error): UpkeepError {
  const shortage = shortageOf(cause);
  if (shortage !== null) {
    const hint = `${shortageHint(shortage) ?? SHORT_HINT}; it is tried again`;
    return new UpkeepError('SUPERVISOR_LOST', `its supervisor cannot be started: ${shortage}`, { cause, hint });
  }
  const node = key === SHARED_SUPERVISOR ? null : `is ${exec} a Node.js of version 20.19 or later?`;
  const hint = node ?? 'daemon.log in the home may tell why';
  return new UpkeepError('SUPERVISOR_LOST', `its supervisor did not start: ${cause.message}`, { cause, hint });
}

/** Map.groupBy needs Node 21. */
function groupBy<T, K>(items: readonly T[], key: (item: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>();
  for (const item of items) {
    const group = groups.get(key(item));
    if (group) group.push(item);
    else groups.set(key(item), [item]);
  }
  return groups;
}
