import type { AppSpec } from '../../src/domain/app-spec.ts';
import type { AppRecord, OperationKind, Outcome, SupervisorEvents } from '../../src/protocol/messages.ts';
import { Supervisor } from '../../src/supervisor/supervisor.ts';
import { appRecord } from './app-spec.ts';
import { FakePorts, turn } from './ports.ts';

/** A supervisor in a fake world, with one app that tests operate on. */
export class Supervised {
  readonly ports = new FakePorts();
  readonly changes: SupervisorEvents['changed'][] = [];
  readonly supervisor = new Supervisor(this.ports, (changed) => this.changes.push(changed));
  record: AppRecord;

  constructor(spec: AppSpec) {
    this.record = appRecord(spec);
  }

  get launcher(): FakePorts['launcher'] {
    return this.ports.launcher;
  }

  get clock(): FakePorts['clock'] {
    return this.ports.clock;
  }

  run(kind: OperationKind, ids = this.record.slots.map(({ id }) => id)): Promise<readonly Outcome[]> {
    return this.supervisor.run({ kind, apps: [this.record], ids });
  }

  /** Runs a reload of what answers well, its trial included. */
  async reloaded(): Promise<readonly Outcome[]> {
    const reload = this.run('reload');
    await this.passTrial();
    return reload;
  }

  /** The one that is on trial, if any, answers well for as long as that takes. */
  async passTrial(): Promise<void> {
    await turn();
    const watched = this.launcher.alive.findLast(({ watchedMs }) => watchedMs !== null);
    watched?.emit({ kind: 'answered', status: 200 });
    await this.clock.advance(500);
  }

  /** Runs an operation that is left pending, and lets everything happen that needs no time. */
  async begin(kind: OperationKind, ids?: readonly number[]): Promise<Pending> {
    const pending = new Pending(this.run(kind, ids as number[] | undefined));
    await turn();
    return pending;
  }

  /** What each instance does, such as `online`; one that drains is counted. */
  get states(): readonly string[] {
    return this.supervisor
      .snapshot()
      .flatMap(({ instances }) => instances.map(({ state, draining }) => state.kind + '+'.repeat(draining.length)));
  }

  snapshot(id = 0) {
    const instances = this.supervisor.snapshot().flatMap((app) => app.instances);
    const found = instances.find((instance) => instance.id === id);
    if (!found) throw new Error(`there is no instance ${id}`);
    return found;
  }
}

/** A promise that can be asked whether it has settled. */
export class Pending {
  readonly outcomes: Promise<readonly Outcome[]>;
  settled = false;

  constructor(outcomes: Promise<readonly Outcome[]>) {
    this.outcomes = outcomes;
    const settle = (): void => {
      this.settled = true;
    };
    outcomes.then(settle, settle);
  }
}

/** `ok`, or the reason of each that failed. */
export const told = (outcomes: readonly Outcome[]): readonly string[] =>
  outcomes.map(({ ok, reason }) => (ok ? 'ok' : String(reason)));
