import { type AppSpec, MOST_INSTANCES, programToRun } from '../domain/app-spec.ts';
import { withCallerEnv } from '../domain/instance-env.ts';
import type { Sampler } from '../metrics/sampler.ts';
import { UpkeepError } from '../protocol/errors.ts';
import type {
  ApplyParams,
  AppRecord,
  OperateParams,
  Outcome,
  Resurrection,
  ScaleChange,
  Slot,
  SupervisorUpdate,
} from '../protocol/messages.ts';
import type { Dump } from './dump.ts';
import type { Journal } from './journal.ts';
import { Keeper } from './keeper.ts';
import type { DaemonPorts } from './ports.ts';
import { type How, Refusals } from './refusals.ts';
import type { Registry } from './registry.ts';
import { Schedule } from './schedule.ts';
import { type Supervisors, supervisorKeyOf } from './supervisors.ts';
import { type ChangeKind, UnderWay } from './under-way.ts';
import { Views } from './views.ts';
import { type Begun, Wanted } from './wanted.ts';

/** No disk takes so long, unless it is in trouble. */
const UNDULY_MS = 2000;

/** The control plane: what is wanted, and commands. It may die at any time; see docs/architecture.md. */
export class Daemon {
  readonly views: Views;
  readonly #ports: DaemonPorts;
  readonly #registry: Registry;
  readonly #journal: Journal;
  readonly #dump: Dump;
  readonly #wanted: Wanted;
  readonly #keeper: Keeper;
  readonly #supervisors: Supervisors;
  readonly #schedule: Schedule;
  readonly #underWay = new UnderWay();
  readonly #refusals: Refusals;

  constructor(ports: DaemonPorts, registry: Registry, journal: Journal, dump: Dump, sampler: Sampler) {
    this.#ports = ports;
    this.#registry = registry;
    this.#journal = journal;
    this.#dump = dump;
    this.#wanted = new Wanted(ports, registry, journal, () => this.#plan());
    const on = { publish: () => this.views.publish(), changed: () => this.views.publishSoon() };
    this.#keeper = new Keeper(ports, registry, this.#wanted, on);
    this.#supervisors = this.#keeper.supervisors;
    this.#refusals = new Refusals(ports, this.#supervisors, this.#underWay);
    this.views = new Views({ ports, registry, journal, sampler, keeper: this.#keeper, underWay: this.#underWay });
    this.#schedule = new Schedule(ports.now, (key) => void this.#replaceByCron(key));
    this.#plan();
  }

  /**
   * Finds what runs, and brings it in line with what is wanted.
   * @param complete false where the list of apps may lack some: then what runs is taken in, not ended.
   */
  async resume(complete = true): Promise<void> {
    await this.#keeper.resume(complete);
  }

  /** Finds what runs, and begins nothing. */
  async adopt(): Promise<void> {
    await this.#keeper.adopt();
  }

  async apply({ specs, existing, origin, canaryMs, sparesReload }: ApplyParams): Promise<readonly Outcome[]> {
    for (const spec of specs) {
      const app = existing === 'error' ? this.#registry.byName(spec.name) : undefined;
      const refusal = (app && this.#refusals.ofStart(app, spec)) ?? this.#refusals.ofSize(spec);
      if (refusal) throw refusal;
    }
    const twice = specs.find(({ name }, at) => specs.findIndex((spec) => spec.name === name) !== at);
    if (twice) {
      const hint = 'give one of them another name, with `name` in a file, or --name';
      throw new UpkeepError('CONFIG_INVALID', `two apps are named ${twice.name}`, { hint });
    }

    const fresh = specs.filter(({ name }) => !this.#registry.byName(name));
    const known = specs.filter(({ name }) => this.#registry.byName(name));
    const added = fresh.map((spec) => this.#registry.add(this.#wanted.inRelease(spec), this.#ports.now(), origin));
    const outcomes = [
      this.#underWay.during(
        'start',
        added.map(({ key }) => key),
        () => this.#startNew(added),
      ),
      ...known.map((spec) => {
        if (origin !== undefined) this.#registry.note(this.#registry.byName(spec.name)?.key ?? '', { origin });
        const kind = existing === 'reload' ? 'reload' : 'restart';
        return this.#change(this.#wanted.inRelease(spec), { kind, canaryMs, sparesReload });
      }),
    ];
    // All have come to their end before the first failure is told.
    await Promise.allSettled(outcomes);
    return (await Promise.all(outcomes)).flat();
  }

  async operate(params: OperateParams): Promise<readonly Outcome[]> {
    const { kind, selectors } = params;
    const places = this.#registry.select(selectors);
    const before = this.#registry.appsOf(places);
    const ids = places.map(({ id }) => id);
    switch (kind) {
      case 'start':
      case 'restart':
      case 'reload':
        return this.#bringIn({ ...params, kind }, before, ids);
      case 'stop':
      case 'reset': {
        const apps = kind === 'stop' ? before.map(({ key }) => this.#registry.want(key, ids, 'down')) : before;
        return this.#wanted.saveAnd(() => this.#runKnown(kind, apps, ids), areDone);
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
    const apps = this.#registry.appsOf(this.#registry.select(selectors));
    const specs = apps.map(({ spec, previous, unproven, failedReload }) => {
      const { name, instances } = spec;
      if (!force && !unproven && failedReload === 'spared') {
        const hint = previous
          ? `\`upkeep rollback ${name} --force\` goes back to what served before that`
          : 'nothing served before that';
        const text = `the last change of ${name} failed, and was not kept: what served before it still does`;
        throw new UpkeepError('USAGE', text, { hint });
      }
      // Some run what failed beside what served.
      const beforeReload = !force && failedReload === 'mixed' ? spec : previous;
      const target = unproven ? unproven.served : beforeReload;
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
    return (await Promise.all(specs.map((spec) => this.#change(spec, { kind: 'reload' })))).flat();
  }

  async scale(selector: string, change: ScaleChange): Promise<readonly Outcome[]> {
    const [app, ...others] = this.#registry.appsOf(this.#registry.select([selector]));
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
    // It would be called off by the end of instances.
    const refusal = count < app.slots.length ? this.#refusals.whileReloading(app) : null;
    if (refusal) throw refusal;
    const { record, removed } = this.#registry.update(app.key, { ...app.spec, instances: count });
    const added = record.slots.map(({ id }) => id).filter((id) => !app.slots.some((slot) => slot.id === id));
    const next = this.#registry.want(app.key, added, 'up');
    await this.#wanted.save(() => this.#wanted.putBack([app]));
    if (removed.length > 0) return this.#runKnown('delete', [app], removed);
    const outcomes = await this.#supervisors.run({ kind: 'start', apps: [next], ids: added });
    const refused = added.filter((id) => !this.#supervisors.instance(id));
    if (refused.length > 0) {
      this.#registry.removeIds(app.key, refused);
      await this.#wanted.saveAfterwards();
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
    const updates = await this.#supervisors.update(version, (key) => this.#keeper.execOf(key));
    const named = (key: string): string => this.#registry.byKey(key)?.spec.name ?? key;
    return updates.map((update) => ({ ...update, apps: update.apps.map(named) }));
  }

  /** @returns the logs that were emptied. @throws UpkeepError LOG_UNUSABLE where others could not be. */
  async flushLogs(selectors: readonly string[]): Promise<readonly string[]> {
    const logs = this.views.describe(selectors).flatMap(({ app, instances }) =>
      instances
        .flatMap(({ logs: { out, error, combined } }) => [out, error, combined])
        .filter((path) => path !== null)
        .map((path) => [path, { path, appUid: app.spec.uid }] as const),
    );
    const { emptied, problems } = this.#ports.emptyLogs([...new Map(logs).values()]);
    await this.#supervisors.reopenLogs();
    if (problems.length === 0) return emptied;
    const others = emptied.length > 0 ? [`emptied all the same: ${emptied.join(', ')}`] : [];
    throw new UpkeepError('LOG_UNUSABLE', [...problems, ...others].join('\n'));
  }

  async reloadLogs(): Promise<Record<string, never>> {
    await this.#supervisors.reopenLogs();
    return {};
  }

  async trimLogs(): Promise<void> {
    try {
      await this.#ports.trimLogs(this.#registry.apps.map(({ spec }) => spec));
    } catch (error) {
      this.#ports.log(`cannot look through the logs: ${(error as Error).message}`);
    }
  }

  /**
   * Stops all instances and forgets them. @returns how many processes were stopped.
   * @throws UpkeepError SUPERVISOR_LOST that names the apps that may still run; these are not forgotten.
   */
  async kill(): Promise<number> {
    const apps = this.#registry.apps;
    this.#registry.clear();
    return this.#wanted.saveAnd(async () => {
      const { stopped, left } = await this.#supervisors.shutdownAll(
        (key) => apps.find((app) => app.key === key)?.spec.program.exec ?? '',
      );
      if (left.size === 0) return stopped;
      const remaining = apps.filter((app) => left.has(supervisorKeyOf(app)));
      const ids = remaining.flatMap(({ slots }) => slots.map(({ id }) => id));
      this.#keepDown(remaining, ids, () => true);
      await this.#wanted.saveAfterwards();
      throw notEnded(stopped, remaining, left);
    });
  }

  /** What could not be ended is not forgotten: it is ended as soon as that can be done. */
  #keepDown(apps: readonly AppRecord[], ids: readonly number[], isLeft: (id: number) => boolean): void {
    for (const app of apps) {
      const slots = app.slots
        .filter(({ id }) => !ids.includes(id) || isLeft(id))
        .map((slot): Slot => (ids.includes(slot.id) ? { ...slot, wanted: 'down' } : slot));
      this.#registry.restore({ ...app, spec: { ...app.spec, instances: slots.length }, slots });
    }
  }

  /** Stops all instances, as when the machine goes down: what was wanted is what the next daemon starts. */
  async shutDown(): Promise<number> {
    await this.#keeper.adopt();
    const { stopped, left } = await this.#supervisors.shutdownAll((key) => this.#keeper.execOf(key));
    for (const [key, { message }] of left) this.#ports.log(`the apps of supervisor ${key} may still run: ${message}`);
    return stopped;
  }

  async save(force: boolean): Promise<{ apps: number; path: string }> {
    const { apps } = this.#registry;
    await this.#dump.replace(apps, force);
    return { apps: apps.length, path: this.#dump.path };
  }

  async clearDump(): Promise<{ path: string }> {
    await this.#dump.clear();
    return { path: this.#dump.path };
  }

  /** Starts what was saved and is not there; of what is there, nothing is touched. */
  async resurrect(): Promise<Resurrection> {
    const { apps, problem } = await this.#dump.load();
    const restored = apps
      .filter(({ spec }) => !this.#registry.byName(spec.name))
      .map((app) => this.#registry.revive({ ...app, spec: this.#wanted.inRelease(app.spec) }, this.#ports.now()));
    await this.#wanted.save(() => {
      for (const { key } of restored) this.#registry.forget(key);
    });
    const ids = new Set(restored.flatMap(({ slots }) => slots.map(({ id }) => id)));
    const outcomes = await this.#keeper.startMissing((id) => ids.has(id));
    return { saved: apps.length, restored: restored.length, outcomes, problem };
  }

  /** What commands wait for that takes unduly long; null for nothing. */
  get waitsFor(): string | null {
    const { writingMs } = this.#journal;
    if (writingMs < UNDULY_MS) return null;
    return `the disk, which has not saved the list of apps for ${Math.round(writingMs / 1000)} s`;
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

  async #startNew(added: readonly AppRecord[]): Promise<readonly Outcome[]> {
    await this.#wanted.save(() => {
      for (const { key } of added) this.#registry.forget(key);
    });
    const apps = added.filter(({ spec }) => spec.autostart);
    if (apps.length === 0) return [];
    const ids = apps.flatMap(({ slots }) => slots.map(({ id }) => id));
    const outcomes = await this.#supervisors.run({ kind: 'start', apps, ids });
    await this.#wanted.settleNew(apps, outcomes);
    return outcomes;
  }

  /** Starts, restarts or reloads instances of apps, with the release that their links lead to now. */
  async #bringIn(
    { kind, env, canaryMs, sparesReload }: Omit<OperateParams, 'kind'> & { kind: ChangeKind },
    concerned: readonly AppRecord[],
    ids: readonly number[],
  ): Promise<readonly Outcome[]> {
    const refused: Outcome[] = [];
    const before: AppRecord[] = [];
    const changes: Begun[] = [];
    for (const app of concerned) {
      const known = this.#keeper.withNode(app);
      const spec = this.#wanted.inRelease(env ? withCallerEnv(known, env) : known);
      const refusal = this.#refusals.ofChange(app, spec, { kind, sparesReload });
      if (refusal) {
        refused.push(...failedWith(refusal, app, ids));
        continue;
      }
      const asItServes = this.#asItServes(app);
      this.#wanted.begin(asItServes, spec);
      before.push(app);
      changes.push({ before: asItServes, after: this.#registry.want(app.key, ids, 'up') });
    }
    if (changes.length === 0) return refused;
    const keys = before.map(({ key }) => key);
    const outcomes = await this.#underWay.during(kind, keys, async () => {
      await this.#wanted.save(() => this.#wanted.putBack(before));
      const apps = changes.map(({ after }) => after);
      const outcomes = await this.#supervisors.run({ kind, apps, ids, canaryMs, sparesReload });
      await this.#wanted.settle(kind, changes, outcomes);
      return outcomes;
    });
    return [...refused, ...outcomes];
  }

  /** What failed to come in, or came in with no one to see it, may serve by now: then it is no worse than others. */
  #asItServes(app: AppRecord): AppRecord {
    // What is under way tells itself how it ends.
    if (!app.unproven || this.#underWay.has(app.key)) return app;
    const { minUptimeMs } = app.spec.restart;
    const serves = ({ id, wanted }: Slot): boolean => {
      const state = this.#supervisors.instance(id)?.state;
      return wanted === 'down' || (state?.kind === 'online' && this.#ports.now() - state.since >= minUptimeMs);
    };
    if (!app.slots.some(({ wanted }) => wanted === 'up') || !app.slots.every(serves)) return app;
    this.#wanted.prove(app);
    return this.#registry.byKey(app.key) ?? app;
  }

  /** Gives an app that is there another spec. */
  async #change(spec: AppSpec, how: How & { kind: 'restart' | 'reload' }): Promise<readonly Outcome[]> {
    const app = this.#registry.byName(spec.name);
    if (!app) return [];
    const refusal = this.#refusals.ofChange(app, spec, how);
    const all = app.slots.map(({ id }) => id);
    if (refusal) return failedWith(refusal, app, all);
    const before = this.#asItServes(app);
    return this.#underWay.during(how.kind, [app.key], () => this.#changeTo(before, spec, how));
  }

  async #changeTo(
    before: AppRecord,
    spec: AppSpec,
    { kind, canaryMs, sparesReload }: How & { kind: 'restart' | 'reload' },
  ): Promise<readonly Outcome[]> {
    const removed = this.#wanted.begin(before, spec);
    const ids = this.#registry.byKey(before.key)?.slots.map(({ id }) => id) ?? [];
    const record = this.#registry.want(before.key, ids, 'up');
    await this.#wanted.save(() => this.#wanted.putBack([before]));

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
      await this.#wanted.settle('start', [{ before, after: record }], outcomes);
      return outcomes;
    }
    if (removed.length > 0) await this.#runKnown('delete', [before], removed);
    const fresh = ids.filter((id) => !before.slots.some((slot) => slot.id === id));
    const kept = ids.filter((id) => !fresh.includes(id));
    const outcomes = await this.#supervisors.run({ kind, apps: [record], ids: kept, canaryMs, sparesReload });
    if (await this.#wanted.settle(kind, [{ before, after: record }], outcomes)) return outcomes;
    const started =
      fresh.length === 0 ? [] : await this.#supervisors.run({ kind: 'start', apps: [record], ids: fresh });
    return [...outcomes, ...started];
  }

  async #remove(apps: readonly AppRecord[], ids: readonly number[]): Promise<readonly Outcome[]> {
    for (const { key, slots } of apps) {
      this.#registry.removeIds(
        key,
        slots.map(({ id }) => id).filter((id) => ids.includes(id)),
      );
    }
    return this.#wanted.saveAnd(async () => {
      const outcomes = await this.#runKnown('delete', apps, ids);
      const left = new Set(outcomes.filter(({ ok }) => !ok).map(({ id }) => id));
      const remaining = apps.filter(({ slots }) => slots.some(({ id }) => left.has(id)));
      this.#keepDown(remaining, ids, (id) => left.has(id));
      for (const app of apps.filter(({ key }) => !this.#registry.byKey(key))) {
        await this.#supervisors.retire(supervisorKeyOf(app));
      }
      if (remaining.length > 0) await this.#wanted.saveAfterwards();
      return outcomes;
    }, areDone);
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
}

function areDone(outcomes: readonly Outcome[]): boolean {
  return outcomes.every(({ ok }) => ok);
}

/** @returns how what was not begun ends for those of an app's instances that were meant. */
function failedWith({ message, hint }: UpkeepError, { slots, spec }: AppRecord, ids: readonly number[]): Outcome[] {
  const failed = { name: spec.name, ok: false, reason: message, hint, stderr: [], refused: true };
  return slots.filter(({ id }) => ids.includes(id)).map(({ id }) => ({ id, ...failed }));
}

function notEnded(stopped: number, apps: readonly AppRecord[], left: ReadonlyMap<string, UpkeepError>): UpkeepError {
  const [[key, cause] = ['', null]] = left;
  const names = apps.map(({ spec }) => spec.name).join(', ') || `those of supervisor ${key}`;
  const text = `${names} may still run: ${cause?.message}; of others, ${stopped} processes were stopped`;
  return new UpkeepError('SUPERVISOR_LOST', text, { cause, hint: cause?.hint ?? null });
}
