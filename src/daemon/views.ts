import { type InstanceState, pidOf } from '../domain/instance.ts';
import { logPaths } from '../domain/log-paths.ts';
import type { Sampler } from '../metrics/sampler.ts';
import type { AppRecord, AppView, InstanceSnapshot, InstanceView, Slot } from '../protocol/messages.ts';
import type { Journal } from './journal.ts';
import type { Keeper } from './keeper.ts';
import type { DaemonPorts } from './ports.ts';
import type { Registry } from './registry.ts';
import type { UnderWay } from './under-way.ts';

export interface ViewsOf {
  readonly ports: DaemonPorts;
  readonly registry: Registry;
  readonly journal: Journal;
  readonly sampler: Sampler;
  readonly keeper: Keeper;
  readonly underWay: UnderWay;
}

/** What is told of apps and instances: on demand, and in the file that `list` reads. */
export class Views {
  readonly #of: ViewsOf;
  #publishing = false;
  #publishMs = 0;
  #isPublished = true;

  constructor(of: ViewsOf) {
    this.#of = of;
  }

  /** Writes what `list` shows, as after every operation, so that the next command sees what this one did. */
  publish(): void {
    const started = performance.now();
    try {
      this.#of.ports.writeStatus({ instances: this.list(), problems: this.problems });
      this.#isPublished = true;
    } catch (error) {
      // Then `list` asks this daemon.
      if (this.#isPublished) this.#of.ports.log(`cannot write the status file: ${(error as Error).message}`);
      this.#isPublished = false;
    }
    this.#publishMs = performance.now() - started;
  }

  list(): readonly InstanceView[] {
    const views = this.#of.registry.apps.flatMap((app) => app.slots.map((slot) => this.#view(app, slot)));
    return views.toSorted((a, b) => a.id - b.id);
  }

  describe(selectors: readonly string[]): readonly AppView[] {
    const places = this.#of.registry.select(selectors);
    const ids = new Set(places.map(({ id }) => id));
    return this.#of.registry.appsOf(places).map((app) => ({
      app,
      node: this.#of.keeper.supervisors.nodeOf(app),
      reloading: this.#of.underWay.has(app.key, 'reload'),
      instances: app.slots
        .filter(({ id }) => ids.has(id))
        .map((slot) => ({ ...this.#view(app, slot), logs: logPaths(app.spec, slot) })),
    }));
  }

  /** Takes a sample of CPU and memory of every instance. */
  sample(): void {
    const pids = this.#of.keeper.supervisors.instances().flatMap((instance) => pidOf(instance) ?? []);
    this.#of.sampler.sample(pids, this.#of.ports.elapsed());
  }

  /** What people should know besides the list of instances. */
  get problems(): readonly string[] {
    return this.#of.journal.problems;
  }

  /** After changes; many at once share one write, which takes a tenth of the time at most. */
  publishSoon(): void {
    if (this.#publishing) return;
    this.#publishing = true;
    setTimeout(() => {
      this.#publishing = false;
      this.publish();
    }, this.#publishMs * 10).unref();
  }

  #view(app: AppRecord, slot: Slot): InstanceView {
    const { keeper } = this.#of;
    const snapshot = keeper.supervisors.instance(slot.id) ?? blank(app.key, slot, keeper.absence(app, slot));
    const pid = pidOf(snapshot);
    const usage = pid === null ? null : this.#of.sampler.usage(pid);
    const { name, namespace, mode } = app.spec;
    const { cpuPercent = null, rssBytes = null } = usage ?? {};
    return { ...snapshot, name, namespace, mode, pid, cpuPercent, rssBytes };
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
    successor: null,
    generation: 0,
  };
}
