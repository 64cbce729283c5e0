import { pidOf } from '../domain/instance.ts';
import { UpkeepError } from '../protocol/errors.ts';
import type { AppRecord, AppSnapshot, Outcome, RunParams, SupervisorEvents } from '../protocol/messages.ts';
import { pieces } from '../protocol/pieces.ts';
import { shiftTimes } from '../protocol/times.ts';
import type { Illness } from './health-watch.ts';
import { appKey, HANDED_OVER, leftApps, placeKey } from './ledger-entries.ts';
import { ManagedApp, reservePipes } from './managed-app.ts';
import { operate, takeDown } from './operations.ts';
import type { Ports } from './ports.ts';
import { type Reload, type ReloadOptions, reload } from './reload.ts';
import { ReplacementPace } from './replacements.ts';
import { Turns } from './turns.ts';

const MEMORY_EVERY_MS = 1000;
const LEDGER_AGAIN_MS = 2000;

/** The data plane: runs the instances of its apps and goes on whatever happens to the daemon. */
export class Supervisor {
  readonly #ports: Ports;
  readonly #apps = new Map<string, ManagedApp>();
  readonly #reloads = new Map<string, Reload>();
  readonly #onChanged: (changed: SupervisorEvents['changed']) => void;
  /** Instances that changed since that was told, by id, and whose they are. */
  readonly #changes = new Map<number, ManagedApp>();
  readonly #turns: Turns;
  /** Apps with an operation under way, and how many. */
  readonly #operating = new Map<string, number>();
  readonly #pace = new ReplacementPace();
  #watchingMemory = false;
  #ledgerFailed = false;
  #notingAgain = false;
  #flushPlanned = false;

  constructor(ports: Ports, onChanged: (changed: SupervisorEvents['changed']) => void) {
    this.#ports = ports;
    this.#onChanged = onChanged;
    this.#turns = new Turns(() => ports.clock.now());
  }

  /** Goes on with what another supervisor has left; ends what of it cannot be gone on with. */
  async resume(): Promise<void> {
    const { ledger, logs } = this.#ports;
    const left = ledger.read();
    const handedOver = left.has(HANDED_OVER);
    this.#note(HANDED_OVER, null);
    const pipes = leftApps(left).flatMap(({ record, places }) => {
      const app = this.#addApp(record);
      return places.flatMap((place) => app.adoptPlace(place, handedOver));
    });
    // Before anything is started: what is not known must not run beside it.
    await logs.sweep(pipes);
    for (const app of this.#apps.values()) app.goOn();
    if ([...this.#apps.values()].some(({ record }) => record.spec.maxMemoryBytes !== null)) this.#watchMemory();
  }

  /**
   * Leaves everything to the next supervisor: after it this process may end.
   * @throws UpkeepError APP_BUSY where an operation runs, which only this process can end.
   */
  async handOver(): Promise<void> {
    const busy = [...this.#operating].find(([, count]) => count > 0)?.[0] ?? [...this.#reloads.keys()][0];
    if (busy !== undefined) {
      const name = this.#apps.get(busy)?.record.spec.name ?? busy;
      throw new UpkeepError('APP_BUSY', `an operation on ${name} is running`);
    }
    // What is not on record would be lost: it fails here, before anything is given up.
    this.#ports.ledger.write(HANDED_OVER, null);
    await this.#ports.launcher.quiesce();
    this.#ports.ledger.write(HANDED_OVER, true);
    await this.#ports.logs.leave();
  }

  reopenLogs(): void {
    this.#ports.logs.reopen();
  }

  /** Its times are those of the wall clock, as in all that leaves this process. */
  snapshot(): readonly AppSnapshot[] {
    const epoch = this.#ports.clock.epoch();
    return [...this.#apps.values()].map((app) => {
      const { instances, ...rest } = app.snapshot();
      return { ...rest, instances: instances.map((instance) => shiftTimes(instance, epoch)) };
    });
  }

  /**
   * Performs one operation. Operations on one app never cross: stop, restart and delete call off a reload that runs,
   * anything else is refused until it is over.
   * @throws UpkeepError APP_BUSY before anything is done.
   */
  async run({ kind, apps, ids, canaryMs = 0, why, sparesReload = false }: RunParams): Promise<readonly Outcome[]> {
    const callsOff = kind === 'stop' || kind === 'delete' || (kind === 'restart' && !sparesReload);
    for (const { key, spec } of apps) {
      if (this.#reloads.has(key) && !callsOff && kind !== 'reset') {
        throw new UpkeepError('APP_BUSY', `a reload of ${spec.name} is running`);
      }
    }
    if (kind === 'start') {
      // One call for all the pipes: it is the slow part of a start with many apps.
      const fresh = apps.flatMap((app) => app.slots.filter(({ id }) => !this.#apps.get(app.key)?.has(id)));
      reservePipes(this.#ports, fresh.length);
    }
    for (const { key } of apps) this.#operating.set(key, (this.#operating.get(key) ?? 0) + 1);
    const wanted = new Set(ids);
    const outcomes = await Promise.all(
      apps.map(async (record) => {
        const running = this.#reloads.get(record.key);
        if (running && callsOff) {
          running.abort(`called off by ${kind}`);
          await running.outcomes;
        }
        const app = this.#apps.get(record.key) ?? this.#addApp(record);
        if (kind !== 'delete') app.addPlaces(record);
        // A reload takes its record over when it has succeeded.
        if (kind !== 'delete' && kind !== 'reload') app.record = record;
        this.#note(appKey(record.key), app.record);
        const here = app.ids.filter((id) => wanted.has(id));
        const result =
          kind === 'reload'
            ? await this.#reload(app, record, here, { canaryMs, why })
            : await operate(this.#ports, this.#turns, app, here, kind);
        if (kind === 'delete') {
          if (app.ids.length === 0) this.#apps.delete(record.key);
          for (const id of here) this.#changed(id, app);
        }
        this.#note(appKey(record.key), this.#apps.has(record.key) ? app.record : null);
        return result;
      }),
    );
    for (const { key } of apps) this.#operating.set(key, (this.#operating.get(key) ?? 1) - 1);
    // A command may have mended what was wrong; cron_restart has not.
    if (why === undefined) for (const id of ids) this.#pace.forget(id);
    if (apps.some(({ spec }) => spec.maxMemoryBytes !== null)) this.#watchMemory();
    this.#flush();
    return outcomes.flat();
  }

  #addApp(record: AppRecord): ManagedApp {
    const app: ManagedApp = new ManagedApp(
      this.#ports,
      record,
      (id) => this.#changed(id, app),
      (id, illness) => void this.#replace(record.key, id, illness),
    );
    this.#apps.set(record.key, app);
    return app;
  }

  /** @returns the pids that were signalled. */
  signal(ids: readonly number[], signal: string): readonly number[] {
    const found = [...this.#apps.values()].flatMap((app) =>
      ids.filter((id) => app.has(id)).map((id) => app.current(id)),
    );
    return found.flatMap((managed) => {
      const pid = pidOf(managed.instance);
      if (pid === null) return [];
      managed.signal(signal);
      return [pid];
    });
  }

  /** Stops everything. @returns how many processes were stopped. */
  async shutdown(): Promise<number> {
    const reloads = [...this.#reloads.values()];
    for (const running of reloads) running.abort('called off by kill');
    await Promise.all(reloads.map(({ outcomes }) => outcomes));
    const all = [...this.#apps.values()].flatMap((app) => app.ids.flatMap((id) => app.occupants(id)));
    const alive = all.filter(({ instance }) => pidOf(instance) !== null);
    await Promise.all(all.map((managed) => takeDown(this.#ports, managed, 'final')));
    for (const managed of all) managed.dispose();
    await this.#ports.logs.close();
    this.#ports.ledger.remove();
    return alive.length;
  }

  /**
   * Replaces an instance that is not well: by a new one beside it in a cluster, by a restart in fork mode. One at a time
   * of each app.
   */
  async #replace(key: string, id: number, { reason, stuck, since }: Illness): Promise<void> {
    const app = this.#apps.get(key);
    if (!app?.has(id) || this.#reloads.has(key) || (this.#operating.get(key) ?? 0) > 0) return;
    const { clock } = this.#ports;
    const { state } = app.current(id).instance;
    if (state.kind !== 'online') return;
    const wellMs = since - state.since;
    if (!this.#pace.isDue(id, clock.now(), wellMs)) return;
    if (app.record.spec.mode === 'fork') {
      app.current(id).send({ kind: 'restart', how: 'gap', why: reason });
      this.#pace.replaced(id, clock.now(), { ok: true, wellMs });
      return;
    }
    const outcomes = await this.#reload(app, app.record, [id], { canaryMs: 0, sameBuild: true, why: reason, stuck });
    this.#pace.replaced(id, clock.now(), { ok: outcomes.every(({ ok }) => ok), wellMs });
  }

  /** For as long as an app has a limit. */
  #watchMemory(): void {
    if (this.#watchingMemory) return;
    this.#watchingMemory = true;
    this.#ports.clock.after(MEMORY_EVERY_MS, () => {
      this.#watchingMemory = false;
      const limited = [...this.#apps.values()].filter(({ record }) => record.spec.maxMemoryBytes !== null);
      if (limited.length === 0) return;
      const instances = limited.flatMap((app) => app.ids.map((id) => app.current(id)));
      const memory = this.#ports.memoryOf(instances.flatMap(({ pid }) => pid ?? []));
      // Who has waited longest comes first: only one of an app is replaced at a time.
      const byTurn = instances.toSorted((a, b) => this.#pace.dueAt(a.slot.id) - this.#pace.dueAt(b.slot.id));
      for (const managed of byTurn) {
        const bytes = memory.get(managed.pid ?? -1) ?? 0;
        const limit = managed.spec.maxMemoryBytes ?? Number.POSITIVE_INFINITY;
        if (managed.instance.state.kind !== 'online') continue;
        const reason = `held ${mib(bytes)}, more than max_memory_restart (${mib(limit)})`;
        managed.mark('memory', bytes > limit ? { reason, stuck: false } : null);
      }
      this.#watchMemory();
    });
  }

  async #reload(
    app: ManagedApp,
    record: RunParams['apps'][number],
    ids: readonly number[],
    options: ReloadOptions,
  ): Promise<Outcome[]> {
    const running = reload(this.#ports, app, record, ids, options);
    this.#reloads.set(record.key, running);
    try {
      return await running.outcomes;
    } finally {
      this.#reloads.delete(record.key);
    }
  }

  /** The next supervisor can go on without it, only not as well. */
  #note(key: string, entry: unknown): void {
    try {
      this.#ports.ledger.write(key, entry);
      if (this.#ledgerFailed) this.#ports.complain('what its successor must know is kept again');
      this.#ledgerFailed = false;
    } catch (error) {
      if (!this.#ledgerFailed)
        this.#ports.complain(
          `cannot keep what its successor must know: ${(error as Error).message}; it is tried again`,
        );
      this.#ledgerFailed = true;
      this.#noteAgain();
    }
  }

  /** Whatever is written next brings all the rest; this does where nothing else changes. */
  #noteAgain(): void {
    if (this.#notingAgain) return;
    this.#notingAgain = true;
    this.#ports.clock.after(LEDGER_AGAIN_MS, () => {
      this.#notingAgain = false;
      if (this.#ledgerFailed) this.#note(HANDED_OVER, null);
    });
  }

  #changed(id: number, app: ManagedApp): void {
    // At once: a process that nobody knows of would be started twice.
    this.#note(placeKey(id), app.has(id) ? app.placeEntry(id) : null);
    // One that is gone tells so after another one has got its id.
    if (!this.#changes.get(id)?.has(id)) this.#changes.set(id, app);
    if (this.#flushPlanned) return;
    this.#flushPlanned = true;
    setImmediate(() => this.#flush());
  }

  #flush(): void {
    this.#flushPlanned = false;
    if (this.#changes.size === 0) return;
    const changes = [...this.#changes];
    this.#changes.clear();
    const apps = [...this.#apps.values()];
    if (apps.every((app) => app.isSettled)) this.#ports.launcher.settled(apps.some((app) => app.isRunning));
    const epoch = this.#ports.clock.epoch();
    const removed = changes.flatMap(([id, app]) => (app.has(id) ? [] : id));
    if (removed.length > 0) this.#onChanged({ instances: [], removed });
    const there = changes.flatMap(([id, app]) => (app.has(id) ? shiftTimes(app.instanceSnapshot(id), epoch) : []));
    for (const instances of pieces(there)) this.#onChanged({ instances, removed: [] });
  }
}

function mib(bytes: number): string {
  return `${Math.round(bytes / 1024 ** 2)} MiB`;
}
