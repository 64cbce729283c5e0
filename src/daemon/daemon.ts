import { setTimeout as sleep } from 'node:timers/promises';
import { type AppSpec, MOST_INSTANCES, programToRun } from '../domain/app-spec.ts';
import { type InstanceState, pidOf } from '../domain/instance.ts';
import { withCallerEnv } from '../domain/instance-env.ts';
import { logPaths } from '../domain/log-paths.ts';
import { inRelease } from '../domain/release.ts';
import type { Sampler } from '../metrics/sampler.ts';
import { UpkeepError } from '../protocol/errors.ts';
import type {
  ApplyParams,
  AppRecord,
  AppSnapshot,
  AppView,
  InstanceSnapshot,
  InstanceView,
  OperateParams,
  Outcome,
  Resurrection,
  ScaleChange,
  Slot,
  SupervisorUpdate,
} from '../protocol/messages.ts';
import type { Dump } from './dump.ts';
import type { Journal } from './journal.ts';
import type { DaemonPorts } from './ports.ts';
import type { Place, Registry } from './registry.ts';
import { Schedule } from './schedule.ts';
import { Supervisors, supervisorKeyOf } from './supervisors.ts';

const NOT_STARTED: InstanceState = { kind: 'stopped', reason: 'not started yet' };

const RESUME_MS = 3000;

/** Between two tries to start what wants for a supervisor: each wait is twice the one before. */
const FIRST_START_AGAIN_MS = 500;
const LONGEST_START_AGAIN_MS = 15_000;

/** No disk takes so long, unless it is in trouble. */
const UNDULY_MS = 2000;

/** Deaths of a supervisor within this time make the next start wait longer. */
const DEATHS_WINDOW_MS = 30_000;
const FIRST_REVIVAL_MS = 20;
const LAST_REVIVAL_MS = 1000;

/** The control plane: what is wanted, and commands. It may die at any time; see docs/architecture.md. */
export class Daemon {
  readonly #ports: DaemonPorts;
  readonly #registry: Registry;
  readonly #journal: Journal;
  readonly #dump: Dump;
  readonly #supervisors: Supervisors;
  readonly #sampler: Sampler;
  readonly #schedule: Schedule;
  /** When supervisors died lately, by key. */
  readonly #deaths = new Map<string, readonly number[]>();
  /** Keys of apps whose last reload failed: it is not wanted any more. */
  readonly #failedReloads = new Set<string>();
  #adopting: Promise<readonly AppSnapshot[]> | null = null;
  /** What should run and could not be started, for want of a supervisor, by id: and why. */
  readonly #unstarted = new Map<number, string>();
  /** In milliseconds of `elapsed`. */
  #startAgainAt = 0;
  #startAgainMs = 0;
  #startsAgain = false;
  #complete = true;
  #publishing = false;
  #publishMs = 0;
  #isPublished = true;

  constructor(ports: DaemonPorts, registry: Registry, journal: Journal, dump: Dump, sampler: Sampler) {
    this.#ports = ports;
    this.#registry = registry;
    this.#journal = journal;
    this.#dump = dump;
    this.#sampler = sampler;
    this.#supervisors = new Supervisors(ports, {
      lost: (key, instances) => void this.#recover(key, instances),
      found: (apps) => void this.#resumeLate(apps),
      unstarted: (ids, reason) => this.#startLater(ids, reason),
      changed: () => this.#publishSoon(),
    });
    this.#schedule = new Schedule(ports.now, (key) => void this.#replaceByCron(key));
    this.#plan();
  }

  /**
   * Finds what runs, and brings it in line with what is wanted.
   * @param complete false where the list of apps may lack some: then what runs is taken in, not ended.
   */
  async resume(complete = true): Promise<void> {
    this.#complete = complete;
    await this.#takeOver(await this.#adopt());
    const missing = this.#startMissing((id) => !this.#supervisors.instance(id));
    // Nobody waits until all that was wanted before a reboot is up.
    await Promise.race([missing, sleep(RESUME_MS, null, { ref: false })]);
  }

  /** A supervisor that stood still goes on, with these apps; or is gone after all. */
  async #resumeLate(running: readonly AppSnapshot[]): Promise<void> {
    await this.#takeOver(running);
    await this.#startMissing((id) => !this.#supervisors.instance(id));
    this.publish();
  }

  /** Brings what runs in line with what is wanted. */
  async #takeOver(running: readonly AppSnapshot[]): Promise<void> {
    if (!this.#complete && running.length > 0) {
      for (const { app, instances } of running) {
        const slots = app.slots.filter(({ id }) => instances.some((instance) => instance.id === id));
        if (slots.length > 0) this.#registry.takeIn({ ...app, spec: { ...app.spec, instances: slots.length }, slots });
      }
      await this.#saveAfterwards();
    }
    for (const { app, instances } of running) {
      const wanted = this.#registry.byKey(app.key);
      const unwanted = instances.map(({ id }) => id).filter((id) => !wanted?.slots.some((slot) => slot.id === id));
      if (unwanted.length > 0) await this.#supervisors.run({ kind: 'delete', apps: [app], ids: unwanted });
      // What serves now is the truth, should a change have been cut short.
      if (wanted) this.#registry.restore({ ...wanted, spec: { ...app.spec, instances: wanted.slots.length } });
      else await this.#supervisors.retire(supervisorKeyOf(app));
      const down = instances
        .map(({ id }) => id)
        .filter((id) => wanted?.slots.some((slot) => slot.id === id && slot.wanted === 'down'));
      // A stop that was journalled, and cut short.
      const record = this.#registry.byKey(app.key);
      if (record && down.length > 0) await this.#supervisors.run({ kind: 'stop', apps: [record], ids: down });
    }
  }

  /** Writes what `list` shows, as after every operation, so that the next command sees what this one did. */
  publish(): void {
    const started = performance.now();
    try {
      this.#ports.writeStatus({ instances: this.list(), problems: this.problems });
      this.#isPublished = true;
    } catch (error) {
      // Then `list` asks this daemon.
      if (this.#isPublished) this.#ports.log(`cannot write the status file: ${(error as Error).message}`);
      this.#isPublished = false;
    }
    this.#publishMs = performance.now() - started;
  }

  list(): readonly InstanceView[] {
    const views = this.#registry.apps.flatMap((app) => app.slots.map((slot) => this.#view(app, slot)));
    return views.toSorted((a, b) => a.id - b.id);
  }

  describe(selectors: readonly string[]): readonly AppView[] {
    const places = this.#registry.select(selectors);
    const ids = new Set(places.map(({ id }) => id));
    return this.#apps(places).map((app) => ({
      app,
      instances: app.slots
        .filter(({ id }) => ids.has(id))
        .map((slot) => ({ ...this.#view(app, slot), logs: logPaths(app.spec, slot) })),
    }));
  }

  /** Takes a sample of CPU and memory of every instance. */
  sample(): void {
    const pids = this.#supervisors.instances().flatMap((instance) => pidOf(instance) ?? []);
    this.#sampler.sample(pids, this.#ports.elapsed());
  }

  async apply({ specs, existing, origin, canaryMs }: ApplyParams): Promise<readonly Outcome[]> {
    if (existing === 'error') for (const spec of specs) this.#refuseRunning(spec);
    const names = new Set(specs.map(({ name }) => name));
    if (names.size < specs.length) throw new UpkeepError('CONFIG_INVALID', 'two apps have the same name');

    const fresh = specs.filter(({ name }) => !this.#registry.byName(name));
    const known = specs.filter(({ name }) => this.#registry.byName(name));
    const added = fresh.map((spec) => this.#registry.add(this.#inRelease(spec), this.#ports.now(), origin));
    const outcomes = [
      this.#startNew(added),
      ...known.map((spec) => {
        if (origin !== undefined) this.#registry.note(this.#registry.byName(spec.name)?.key ?? '', { origin });
        return this.#change(this.#inRelease(spec), existing === 'reload' ? 'reload' : 'restart', canaryMs);
      }),
    ];
    // All have come to their end before the first failure is told.
    await Promise.allSettled(outcomes);
    return (await Promise.all(outcomes)).flat();
  }

  async operate({ kind, selectors, env, canaryMs, sparesReload }: OperateParams): Promise<readonly Outcome[]> {
    const places = this.#registry.select(selectors);
    const before = this.#apps(places);
    const ids = places.map(({ id }) => id);
    switch (kind) {
      case 'start':
      case 'restart':
      case 'reload': {
        const apps = before.map((app) => {
          const { key } = app;
          const spec = this.#withNode(app);
          this.#registry.update(key, this.#inRelease(env ? withCallerEnv(spec, env) : spec));
          return this.#registry.want(key, ids, 'up');
        });
        await this.#save(() => this.#putBack(before));
        const outcomes = await this.#supervisors.run({ kind, apps, ids, canaryMs, sparesReload });
        if (kind === 'reload') await this.#undoFailed(before, outcomes);
        await this.#remember(before, outcomes);
        return outcomes;
      }
      case 'stop':
      case 'reset': {
        const apps = kind === 'stop' ? before.map(({ key }) => this.#registry.want(key, ids, 'down')) : before;
        return this.#saveAnd(() => this.#runKnown(kind, apps, ids));
      }
      case 'delete':
        return this.#remove(before, ids);
    }
  }

  /**
   * Back to what served before, by a reload.
   * @param force also after a reload that failed: who means that one need not go back.
   * @throws UpkeepError USAGE where there is nothing to go back to.
   */
  async rollback(selectors: readonly string[], force = false): Promise<readonly Outcome[]> {
    const apps = this.#apps(this.#registry.select(selectors));
    const specs = apps.map(({ key, spec, previous }) => {
      const { name, instances } = spec;
      const failed = !force && this.#failedReloads.has(key);
      if (failed && spec.mode === 'cluster') {
        const hint = previous
          ? `\`upkeep rollback ${name} --force\` goes back to what served before that`
          : 'nothing served before that';
        const text = `the last change of ${name} failed, and was not kept: what served before it still does`;
        throw new UpkeepError('USAGE', text, { hint });
      }
      // In fork mode what failed has taken the place of what served.
      const target = failed ? spec : previous;
      if (!target) {
        const hint = 'a rollback goes back over a reload or restart that brought a change in';
        throw new UpkeepError('USAGE', `${name} has nothing to go back to`, { hint });
      }
      const { cwd } = programToRun(target);
      if (this.#ports.resolveLinks(cwd) === null) {
        throw new UpkeepError('USAGE', `${name} served from ${cwd} before, which is gone`, { hint: 'deploy it again' });
      }
      return { ...target, instances };
    });
    return (await Promise.all(specs.map((spec) => this.#change(spec, 'reload')))).flat();
  }

  async scale(selector: string, change: ScaleChange): Promise<readonly Outcome[]> {
    const [app, ...others] = this.#apps(this.#registry.select([selector]));
    if (!app || others.length > 0)
      throw new UpkeepError('USAGE', `"${selector}" is more than one app; scale one at a time`);
    const count = change.kind === 'to' ? change.count : app.slots.length + change.delta;
    if (count < 1) {
      const hint = `\`upkeep stop ${app.spec.name}\` stops all of them, \`upkeep delete\` removes the app`;
      throw new UpkeepError('USAGE', `${app.spec.name} has ${app.slots.length} instances; at least 1 must be left`, {
        hint,
      });
    }
    if (count > MOST_INSTANCES) throw new UpkeepError('USAGE', `one app may have ${MOST_INSTANCES} instances at most`);
    if (count === app.slots.length) return [];
    const { record, removed } = this.#registry.update(app.key, { ...app.spec, instances: count });
    const added = record.slots.map(({ id }) => id).filter((id) => !app.slots.some((slot) => slot.id === id));
    const next = this.#registry.want(app.key, added, 'up');
    await this.#save(() => this.#putBack([app]));
    if (removed.length > 0) return this.#runKnown('delete', [app], removed);
    const outcomes = await this.#supervisors.run({ kind: 'start', apps: [next], ids: added });
    const refused = added.filter((id) => !this.#supervisors.instance(id));
    if (refused.length > 0) {
      this.#registry.removeIds(app.key, refused);
      await this.#saveAfterwards();
    }
    return outcomes;
  }

  async signal(selectors: readonly string[], signal: string): Promise<readonly number[]> {
    return this.#supervisors.signal(
      this.#registry.select(selectors).map(({ id }) => id),
      signal,
    );
  }

  /** Makes way for another daemon; everything else goes on. */
  async leave(): Promise<void> {
    await this.#journal.save();
    await this.#supervisors.release();
  }

  /** @param version of this daemon. */
  async updateSupervisors(version: string): Promise<readonly SupervisorUpdate[]> {
    const updates = await this.#supervisors.update(version, (key) => this.#execOf(key));
    const named = (key: string): string => this.#registry.byKey(key)?.spec.name ?? key;
    return updates.map((update) => ({ ...update, apps: update.apps.map(named) }));
  }

  /** @returns the logs that were emptied. */
  async flushLogs(selectors: readonly string[]): Promise<readonly string[]> {
    const logs = this.describe(selectors).flatMap(({ app, instances }) =>
      instances
        .flatMap(({ logs: { out, error, combined } }) => [out, error, combined])
        .filter((path) => path !== null)
        .map((path) => [path, { path, appUid: app.spec.uid }] as const),
    );
    const emptied = this.#ports.emptyLogs([...new Map(logs).values()]);
    await this.#supervisors.reopenLogs();
    return emptied;
  }

  async reloadLogs(): Promise<Record<string, never>> {
    await this.#supervisors.reopenLogs();
    return {};
  }

  async trimLogs(): Promise<void> {
    try {
      await this.#ports.trimLogs(this.#registry.apps.map(({ spec }) => spec.logs));
    } catch (error) {
      this.#ports.log(`cannot look through the logs: ${(error as Error).message}`);
    }
  }

  /** Stops all instances and forgets them. @returns how many processes were stopped. */
  async kill(): Promise<number> {
    const apps = this.#registry.apps;
    this.#registry.clear();
    return this.#saveAnd(() =>
      this.#supervisors.shutdownAll((key) => apps.find((app) => app.key === key)?.spec.program.exec ?? ''),
    );
  }

  /** Stops all instances, as when the machine goes down: what was wanted is what the next daemon starts. */
  async shutDown(): Promise<number> {
    await this.#adopt();
    return this.#supervisors.shutdownAll((key) => this.#execOf(key));
  }

  async save(force: boolean): Promise<{ apps: number; path: string }> {
    const { apps } = this.#registry;
    await this.#dump.replace(apps, force);
    return { apps: apps.length, path: this.#dump.path };
  }

  async clearDump(): Promise<{ path: string }> {
    await this.#dump.replace([], true);
    return { path: this.#dump.path };
  }

  /** Starts what was saved and is not there; of what is there, nothing is touched. */
  async resurrect(): Promise<Resurrection> {
    const { apps, problem } = await this.#dump.load();
    const restored = apps
      .filter(({ spec }) => !this.#registry.byName(spec.name))
      .map((app) => this.#registry.revive({ ...app, spec: this.#inRelease(app.spec) }, this.#ports.now()));
    await this.#save(() => {
      for (const { key } of restored) this.#registry.forget(key);
    });
    const ids = new Set(restored.flatMap(({ slots }) => slots.map(({ id }) => id)));
    const outcomes = await this.#startMissing((id) => ids.has(id));
    return { saved: apps.length, restored: restored.length, outcomes, problem };
  }

  #adopt(): Promise<readonly AppSnapshot[]> {
    this.#adopting ??= this.#supervisors.adoptAll((key) => this.#execOf(key));
    return this.#adopting;
  }

  /** The Node.js that runs the supervisor with this key. */
  #execOf(key: string): string {
    return this.#registry.byKey(key)?.spec.program.exec ?? '';
  }

  /** What commands wait for that takes unduly long; null for nothing. */
  get waitsFor(): string | null {
    const { writingMs } = this.#journal;
    if (writingMs < UNDULY_MS) return null;
    return `the disk, which has not saved the list of apps for ${Math.round(writingMs / 1000)} s`;
  }

  /** What people should know besides the list of instances. */
  get problems(): readonly string[] {
    return this.#journal.problems;
  }

  /** Before anything is done. @param undo takes back what cannot be saved, and so is not done. */
  async #save(undo: () => void): Promise<void> {
    this.#plan();
    try {
      await this.#journal.save();
    } catch (error) {
      undo();
      this.#plan();
      throw error;
    }
  }

  /** What was done is true, saved or not; the journal tries again. */
  async #saveAfterwards(): Promise<void> {
    await this.#save(() => {}).catch((error: Error) => this.#ports.log(error.message));
  }

  /** For what ends processes, and so must work on a full disk too: then it is done all the same, and told. */
  async #saveAnd<T>(act: () => Promise<T>): Promise<T> {
    const failed = await this.#save(() => {}).then(
      () => null,
      (error: Error) => error,
    );
    const result = await act();
    if (!failed) return result;
    throw new UpkeepError('STATE_UNSAVED', `it was done, but ${failed.message}`, {
      cause: failed,
      hint: 'make room: until it is saved, a new daemon would not know of it; the save is tried again all the time',
    });
  }

  #putBack(records: readonly AppRecord[]): void {
    for (const record of records) this.#registry.restore(record);
  }

  #plan(): void {
    const patterns = this.#registry.apps.flatMap(({ key, spec }) =>
      spec.cron === null ? [] : [[key, spec.cron] as const],
    );
    this.#schedule.set(new Map(patterns));
  }

  /** What was stopped by command stays so; a job that has ended is run again. */
  async #replaceByCron(key: string): Promise<void> {
    const app = this.#registry.byKey(key);
    const ids = app?.slots.filter(({ wanted }) => wanted === 'up').map(({ id }) => id) ?? [];
    if (!app || ids.length === 0) return;
    const outcomes = await this.#supervisors.run({ kind: 'reload', apps: [app], ids, why: 'replaced by cron_restart' });
    for (const { name, id, ok, reason } of outcomes) {
      if (!ok) this.#ports.log(`cron_restart of ${name} (${id}): ${reason}`);
    }
  }

  /** After changes; many at once share one write, which takes a tenth of the time at most. */
  #publishSoon(): void {
    if (this.#publishing) return;
    this.#publishing = true;
    setTimeout(() => {
      this.#publishing = false;
      this.publish();
    }, this.#publishMs * 10).unref();
  }

  #view(app: AppRecord, slot: Slot): InstanceView {
    const snapshot = this.#supervisors.instance(slot.id) ?? blank(app.key, slot, this.#absence(app, slot));
    const pid = pidOf(snapshot);
    const usage = pid === null ? null : this.#sampler.usage(pid);
    const { name, namespace, mode } = app.spec;
    const { cpuPercent = null, rssBytes = null } = usage ?? {};
    return { ...snapshot, name, namespace, mode, pid, cpuPercent, rssBytes };
  }

  /** The state of an instance that no supervisor has told of. */
  #absence(app: AppRecord, { id, wanted }: Slot): InstanceState {
    const awaited = this.#supervisors.isAwaited(app) ? 'its supervisor has not answered yet' : null;
    const reason = this.#unstarted.get(id) ?? awaited;
    if (reason === null || wanted === 'down') return NOT_STARTED;
    return { kind: 'backoff', until: this.#startAgainAt + this.#ports.epoch(), reason };
  }

  #apps(places: readonly Place[]): readonly AppRecord[] {
    return [...new Set(places.map(({ key }) => key))].flatMap((key) => this.#registry.byKey(key) ?? []);
  }

  #refuseRunning(spec: AppSpec): void {
    const app = this.#registry.byName(spec.name);
    if (!app) return;
    const runs = app.slots.some(
      ({ id }) => !['stopped', 'errored'].includes(this.#supervisors.instance(id)?.state.kind ?? 'stopped'),
    );
    if (!runs && app.spec.program.script === spec.program.script) return;
    const { script } = app.spec.program;
    const hint =
      script === spec.program.script
        ? `\`upkeep restart ${spec.name}\` or \`upkeep reload ${spec.name}\`; -f restarts it with these options`
        : 'give this one another name with --name, or delete the other first';
    throw new UpkeepError('APP_EXISTS', `there is an app named ${spec.name} already, for ${script}`, { hint });
  }

  async #startNew(added: readonly AppRecord[]): Promise<readonly Outcome[]> {
    await this.#save(() => {
      for (const { key } of added) this.#registry.forget(key);
    });
    const apps = added.filter(({ spec }) => spec.autostart);
    if (apps.length === 0) return [];
    return this.#supervisors.run({ kind: 'start', apps, ids: apps.flatMap(({ slots }) => slots.map(({ id }) => id)) });
  }

  /** Follows symbolic links anew: what is begun from here on runs in what they lead to now. */
  #inRelease(spec: AppSpec): AppSpec {
    return inRelease(spec, this.#ports.resolveLinks);
  }

  /** Keeps, for a rollback, what served before changes that have succeeded. */
  async #remember(before: readonly AppRecord[], outcomes: readonly Outcome[]): Promise<void> {
    const failed = new Set(outcomes.filter(({ ok }) => !ok).map(({ name }) => name));
    const text = (spec: AppSpec): string => JSON.stringify({ ...spec, instances: 0 });
    for (const { key, spec } of before) if (!failed.has(spec.name)) this.#failedReloads.delete(key);
    const changed = before.filter(({ key, spec }) => {
      const now = this.#registry.byKey(key)?.spec;
      return now && !failed.has(spec.name) && text(now) !== text(spec);
    });
    for (const { key, spec } of changed) this.#registry.note(key, { previous: spec });
    if (changed.length > 0) await this.#saveAfterwards();
  }

  /** Gives an app that is there another spec. */
  async #change(spec: AppSpec, kind: 'restart' | 'reload', canaryMs?: number): Promise<readonly Outcome[]> {
    const before = this.#registry.byName(spec.name);
    if (!before) return [];
    const { removed } = this.#registry.update(before.key, spec);
    const ids = this.#registry.byKey(before.key)?.slots.map(({ id }) => id) ?? [];
    const record = this.#registry.want(before.key, ids, 'up');
    await this.#save(() => this.#putBack([before]));

    const moves =
      supervisorKeyOf(before) !== supervisorKeyOf(record) ||
      (spec.mode === 'cluster' && before.spec.program.exec !== spec.program.exec);
    if (moves) {
      // Another supervisor is to run it: one that is, or is not, the primary of a cluster on that Node.js.
      await this.#runKnown(
        'delete',
        [before],
        before.slots.map(({ id }) => id),
      );
      await this.#supervisors.retire(supervisorKeyOf(before));
      const outcomes = await this.#supervisors.run({ kind: 'start', apps: [record], ids });
      await this.#remember([before], outcomes);
      return outcomes;
    }
    if (removed.length > 0) await this.#runKnown('delete', [before], removed);
    const fresh = ids.filter((id) => !before.slots.some((slot) => slot.id === id));
    const kept = ids.filter((id) => !fresh.includes(id));
    const outcomes = await this.#supervisors.run({ kind, apps: [record], ids: kept, canaryMs });
    if (kind === 'reload' && (await this.#undoFailed([before], outcomes))) return outcomes;
    await this.#remember([before], outcomes);
    const started =
      fresh.length === 0 ? [] : await this.#supervisors.run({ kind: 'start', apps: [record], ids: fresh });
    return [...outcomes, ...started];
  }

  /** A spec whose reload failed is not wanted any more. @returns whether there was one. */
  async #undoFailed(before: readonly AppRecord[], outcomes: readonly Outcome[]): Promise<boolean> {
    const failed = new Set(outcomes.filter(({ ok }) => !ok).map(({ id }) => id));
    const undone = before.filter(
      ({ key, slots }) => this.#registry.byKey(key) && slots.some(({ id }) => failed.has(id)),
    );
    for (const record of undone) {
      this.#registry.update(record.key, record.spec);
      this.#failedReloads.add(record.key);
    }
    if (undone.length > 0) await this.#saveAfterwards();
    return undone.length > 0;
  }

  async #remove(apps: readonly AppRecord[], ids: readonly number[]): Promise<readonly Outcome[]> {
    for (const { key, slots } of apps) {
      this.#registry.removeIds(
        key,
        slots.map(({ id }) => id).filter((id) => ids.includes(id)),
      );
    }
    return this.#saveAnd(async () => {
      const outcomes = await this.#runKnown('delete', apps, ids);
      for (const app of apps.filter(({ key }) => !this.#registry.byKey(key))) {
        this.#failedReloads.delete(app.key);
        await this.#supervisors.retire(supervisorKeyOf(app));
      }
      return outcomes;
    });
  }

  /**
   * Performs an operation that means nothing to instances which no supervisor knows. Whether one knows them, it says
   * itself: it may just be told to start them.
   */
  async #runKnown(
    kind: 'stop' | 'delete' | 'reset',
    apps: readonly AppRecord[],
    ids: readonly number[],
  ): Promise<readonly Outcome[]> {
    const concerned = apps.filter((app) => this.#supervisors.has(app));
    const outcomes = concerned.length === 0 ? [] : await this.#supervisors.run({ kind, apps: concerned, ids });
    const told = new Set(outcomes.map(({ id }) => id));
    const trivial = apps.flatMap(({ spec, slots }) =>
      slots
        .filter(({ id }) => ids.includes(id) && !told.has(id))
        .map(({ id }): Outcome => ({ id, name: spec.name, ok: true, reason: null, hint: null, stderr: [] })),
    );
    return [...outcomes, ...trivial];
  }

  async #startMissing(missing: (id: number) => boolean): Promise<readonly Outcome[]> {
    const apps = this.#registry.apps
      .filter((app) => !this.#supervisors.isAwaited(app))
      .filter(({ slots }) => slots.some(({ id, wanted }) => wanted === 'up' && missing(id)))
      .map((app) => this.#registry.update(app.key, this.#withNode(app)).record);
    const ids = apps.flatMap(({ slots }) =>
      slots.filter(({ id, wanted }) => wanted === 'up' && missing(id)).map(({ id }) => id),
    );
    if (ids.length === 0) return [];
    const outcomes = await this.#supervisors.run({ kind: 'start', apps, ids });
    for (const { id, name, ok, reason } of outcomes) {
      if (!ok) this.#ports.log(`could not start ${name} (${id}): ${reason}`);
    }
    return outcomes;
  }

  /**
   * The spec of an app that is to be started. An upgrade of Node.js may have taken away the one that it was started with:
   * then the daemon's runs it, unless its cluster still runs on that which is gone.
   */
  #withNode(app: AppRecord): AppSpec {
    const { spec } = app;
    const { exec, runtime } = spec.program;
    const [node = exec] = this.#ports.daemonCommand;
    if (runtime !== 'node' || this.#ports.resolveLinks(exec) !== null) return spec;
    if (spec.mode === 'cluster' && this.#supervisors.has(app)) return spec;
    this.#ports.log(`${exec} is gone: ${spec.name} runs on ${node}`);
    return { ...spec, program: { ...spec.program, exec: node } };
  }

  #startLater(ids: readonly number[], reason: string): void {
    for (const id of ids) this.#unstarted.set(id, reason);
    if (this.#startsAgain) return;
    this.#startsAgain = true;
    this.#startAgainMs = Math.min(Math.max(FIRST_START_AGAIN_MS, this.#startAgainMs * 2), LONGEST_START_AGAIN_MS);
    this.#startAgainAt = this.#ports.elapsed() + this.#startAgainMs;
    setTimeout(() => void this.#startAgain(), this.#startAgainMs).unref();
  }

  async #startAgain(): Promise<void> {
    const isMissing = (id: number): boolean => this.#unstarted.has(id) && !this.#supervisors.instance(id);
    await this.#startMissing(isMissing);
    const wanted = this.#registry.apps.flatMap(({ slots }) => slots.filter((slot) => slot.wanted === 'up'));
    const left = new Set(wanted.map(({ id }) => id).filter(isMissing));
    for (const id of this.#unstarted.keys()) if (!left.has(id)) this.#unstarted.delete(id);
    this.#startsAgain = false;
    if (left.size > 0) this.#startLater([], '');
    else this.#startAgainMs = 0;
    this.publish();
  }

  /** A supervisor died: another one goes on with what it ran. */
  async #recover(key: string, instances: readonly InstanceSnapshot[]): Promise<void> {
    this.#ports.log(`supervisor ${key} is gone; another one goes on with its ${instances.length} instances`);
    // Its death may be part of the end of everything; and one that dies again and again must not keep us busy.
    const now = this.#ports.elapsed();
    const deaths = (this.#deaths.get(key) ?? []).filter((at) => now - at < DEATHS_WINDOW_MS);
    this.#deaths.set(key, [...deaths, now]);
    await sleep(Math.min(FIRST_REVIVAL_MS * 2 ** deaths.length, LAST_REVIVAL_MS));
    try {
      await this.#supervisors.revive(key, this.#execOf(key));
    } catch (error) {
      this.#ports.log(`supervisor ${key} did not come back: ${(error as Error).message}`);
    }
    const ids = new Set(instances.map(({ id }) => id));
    await this.#startMissing((id) => ids.has(id) && !this.#supervisors.instance(id));
    this.publish();
  }
}

function blank(key: string, { id, index }: Slot, state: InstanceState): InstanceSnapshot {
  return {
    key,
    id,
    index,
    state,
    restarts: 0,
    unstable: 0,
    lastExit: null,
    exits: [],
    unhealthy: null,
    lost: null,
    listens: [],
    draining: [],
    generation: 0,
  };
}
