import { setTimeout as sleep } from 'node:timers/promises';
import type { AppSpec } from '../domain/app-spec.ts';
import type { InstanceState } from '../domain/instance.ts';
import type { AppRecord, AppSnapshot, InstanceSnapshot, Outcome, Slot } from '../protocol/messages.ts';
import type { DaemonPorts } from './ports.ts';
import type { Registry } from './registry.ts';
import { Supervisors, supervisorKeyOf } from './supervisors.ts';
import type { Wanted } from './wanted.ts';

const NOT_STARTED: InstanceState = { kind: 'stopped', reason: 'not started yet' };

const RESUME_MS = 3000;

/** Between two tries to start what wants for a supervisor: each wait is twice the one before. */
const FIRST_START_AGAIN_MS = 500;
const LONGEST_START_AGAIN_MS = 15_000;

/** Deaths of a supervisor within this time make the next start wait longer. */
const DEATHS_WINDOW_MS = 30_000;
const FIRST_REVIVAL_MS = 20;
const LAST_REVIVAL_MS = 1000;

/** Brings what runs in line with what is wanted: when the daemon starts, and whenever a supervisor comes or goes. */
export class Keeper {
  readonly supervisors: Supervisors;
  readonly #ports: DaemonPorts;
  readonly #registry: Registry;
  readonly #wanted: Wanted;
  readonly #publish: () => void;
  /** When supervisors died lately, by key. */
  readonly #deaths = new Map<string, readonly number[]>();
  #adopting: Promise<readonly AppSnapshot[]> | null = null;
  /** What should run and could not be started, for want of a supervisor, by id: and why. */
  readonly #unstarted = new Map<number, string>();
  /** In milliseconds of `elapsed`. */
  #startAgainAt = 0;
  #startAgainMs = 0;
  #startsAgain = false;
  #complete = true;

  /** @param on `publish` what has been done; `changed` tells that there is something new to publish, soon. */
  constructor(
    ports: DaemonPorts,
    registry: Registry,
    wanted: Wanted,
    on: { readonly publish: () => void; readonly changed: () => void },
  ) {
    this.#ports = ports;
    this.#registry = registry;
    this.#wanted = wanted;
    this.#publish = on.publish;
    this.supervisors = new Supervisors(ports, {
      lost: (key, instances) => void this.#recover(key, instances),
      found: (apps) => void this.#resumeLate(apps),
      unstarted: (ids, reason) => this.#startLater(ids, reason),
      changed: on.changed,
    });
  }

  /**
   * Finds what runs, and brings it in line with what is wanted.
   * @param complete false where the list of apps may lack some: then what runs is taken in, not ended.
   */
  async resume(complete = true): Promise<void> {
    this.#complete = complete;
    await this.#takeOver(await this.adopt());
    // Those of apps that nobody knows, and that are gone.
    await this.supervisors.retireOthers((key) => this.#registry.byKey(key) !== undefined);
    const missing = this.startMissing((id) => !this.supervisors.instance(id));
    // Nobody waits until all that was wanted before a reboot is up.
    await Promise.race([missing, sleep(RESUME_MS, null, { ref: false })]);
  }

  /** A supervisor that stood still goes on, with these apps; or is gone after all. */
  async #resumeLate(running: readonly AppSnapshot[]): Promise<void> {
    await this.#takeOver(running);
    await this.startMissing((id) => !this.supervisors.instance(id));
    this.#publish();
  }

  /** Brings what runs in line with what is wanted. */
  async #takeOver(running: readonly AppSnapshot[]): Promise<void> {
    if (!this.#complete && running.length > 0) {
      for (const { app, instances } of running) {
        const slots = app.slots.filter(({ id }) => instances.some((instance) => instance.id === id));
        if (slots.length > 0) this.#registry.takeIn({ ...app, spec: { ...app.spec, instances: slots.length }, slots });
      }
      await this.#wanted.saveAfterwards();
    }
    for (const { app, instances } of running) {
      const wanted = this.#registry.byKey(app.key);
      const unwanted = instances.map(({ id }) => id).filter((id) => !wanted?.slots.some((slot) => slot.id === id));
      if (unwanted.length > 0) await this.supervisors.run({ kind: 'delete', apps: [app], ids: unwanted });
      if (wanted) this.#wanted.restoreAs(wanted, app.spec);
      else await this.supervisors.retire(supervisorKeyOf(app));
      const down = instances
        .map(({ id }) => id)
        .filter((id) => wanted?.slots.some((slot) => slot.id === id && slot.wanted === 'down'));
      // A stop that was journalled, and cut short.
      const record = this.#registry.byKey(app.key);
      if (record && down.length > 0) await this.supervisors.run({ kind: 'stop', apps: [record], ids: down });
    }
  }

  /** The state of an instance that no supervisor has told of. */
  absence(app: AppRecord, { id, wanted }: Slot): InstanceState {
    const awaited = this.supervisors.isAwaited(app) ? 'its supervisor has not answered yet' : null;
    const reason = this.#unstarted.get(id) ?? awaited;
    if (reason === null || wanted === 'down') return NOT_STARTED;
    return { kind: 'backoff', until: this.#startAgainAt + this.#ports.epoch(), reason };
  }

  async startMissing(missing: (id: number) => boolean): Promise<readonly Outcome[]> {
    const apps = this.#registry.apps
      .filter((app) => !this.supervisors.isAwaited(app))
      .filter(({ slots }) => slots.some(({ id, wanted }) => wanted === 'up' && missing(id)))
      .map((app) => this.#registry.update(app.key, this.withNode(app)).record);
    const ids = apps.flatMap(({ slots }) =>
      slots.filter(({ id, wanted }) => wanted === 'up' && missing(id)).map(({ id }) => id),
    );
    if (ids.length === 0) return [];
    const outcomes = await this.supervisors.run({ kind: 'start', apps, ids });
    for (const { id, name, ok, reason } of outcomes) {
      if (!ok) this.#ports.log(`could not start ${name} (${id}): ${reason}`);
    }
    return outcomes;
  }

  /**
   * The spec of an app that is to be started. An upgrade of Node.js may have taken away the one that it was started with:
   * then the daemon's runs it, unless its cluster still runs on that which is gone.
   */
  withNode(app: AppRecord): AppSpec {
    const { spec } = app;
    const { exec, runtime } = spec.program;
    const [node = exec] = this.#ports.daemonCommand;
    if (runtime !== 'node' || this.#ports.resolveLinks(exec) !== null) return spec;
    if (spec.mode === 'cluster' && this.supervisors.has(app)) return spec;
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
    const isMissing = (id: number): boolean => this.#unstarted.has(id) && !this.supervisors.instance(id);
    await this.startMissing(isMissing);
    const wanted = this.#registry.apps.flatMap(({ slots }) => slots.filter((slot) => slot.wanted === 'up'));
    const left = new Set(wanted.map(({ id }) => id).filter(isMissing));
    for (const id of this.#unstarted.keys()) if (!left.has(id)) this.#unstarted.delete(id);
    this.#startsAgain = false;
    if (left.size > 0) this.#startLater([], '');
    else this.#startAgainMs = 0;
    this.#publish();
  }

  /** A supervisor died: another one goes on with what it ran. */
  async #recover(key: string, instances: readonly InstanceSnapshot[]): Promise<void> {
    this.#ports.log(`supervisor ${key} is gone; another one goes on with its ${instances.length} instances`);
    // Its death may be part of the end of everything; and one that dies again and again must not keep us busy.
    const now = this.#ports.elapsed();
    const deaths = (this.#deaths.get(key) ?? []).filter((at) => now - at < DEATHS_WINDOW_MS);
    this.#deaths.set(key, [...deaths, now]);
    await sleep(Math.min(FIRST_REVIVAL_MS * 2 ** deaths.length, LAST_REVIVAL_MS));
    for (let waitMs = FIRST_START_AGAIN_MS; ; waitMs = Math.min(waitMs * 2, LONGEST_START_AGAIN_MS)) {
      try {
        await this.supervisors.revive(key, this.execOf(key));
      } catch (error) {
        this.#ports.log(`supervisor ${key} did not come back: ${(error as Error).message}`);
      }
      if (!this.supervisors.isAway(key)) break;
      await sleep(waitMs, null, { ref: false });
    }
    const ids = new Set(instances.map(({ id }) => id));
    await this.#endUnwanted(ids);
    await this.startMissing((id) => ids.has(id) && !this.supervisors.instance(id));
    this.#publish();
  }

  /** What was to be stopped while there was nobody to do it. */
  async #endUnwanted(ids: ReadonlySet<number>): Promise<void> {
    const runs = (id: number): boolean => (this.supervisors.instance(id)?.state.kind ?? 'stopped') !== 'stopped';
    const down = ({ id, wanted }: Slot): boolean => wanted === 'down' && ids.has(id) && runs(id);
    const apps = this.#registry.apps.filter(({ slots }) => slots.some(down));
    const unwanted = apps.flatMap(({ slots }) => slots.filter(down).map(({ id }) => id));
    if (unwanted.length > 0) await this.supervisors.run({ kind: 'stop', apps, ids: unwanted });
  }

  adopt(): Promise<readonly AppSnapshot[]> {
    this.#adopting ??= this.supervisors.adoptAll((key) => this.execOf(key));
    return this.#adopting;
  }

  /** The Node.js that runs the supervisor with this key. */
  execOf(key: string): string {
    return this.#registry.byKey(key)?.spec.program.exec ?? '';
  }
}
