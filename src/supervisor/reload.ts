import { START_DEADLINE_MS } from '../domain/app-spec.ts';
import { beginRollout, isOver, type RolloutEvent, type RolloutStep, stepRollout } from '../domain/rollout.ts';
import { passesEarly, trialTimes, whyNotPassed } from '../domain/trial.ts';
import type { AppRecord, Outcome } from '../protocol/messages.ts';
import { explainFailure, type Role } from './explain.ts';
import type { ManagedApp } from './managed-app.ts';
import type { ManagedInstance } from './managed-instance.ts';
import { bringUp, cameUp, failedWith, takeDown, watchUntil } from './operations.ts';
import type { Ports } from './ports.ts';

/** Why an old one ended. */
const REPLACED = 'replaced by a reload';
const NOT_TRIED = 'not tried, as another failed: what is old serves on';

/** A reload that runs; `abort` keeps what is old and ends it. */
export interface Reload {
  readonly outcomes: Promise<Outcome[]>;
  readonly abort: (reason: string) => void;
}

export interface ReloadOptions {
  /** The first new instance is watched for this long before the others follow; 0 for no canary. */
  readonly canaryMs: number;
  /** A new one of the build that runs already, in place of one that is not well, is not put on trial. */
  readonly sameBuild?: boolean;
  /** Of a replacement: what is told as the reason why the old ones end. */
  readonly why?: string | undefined;
  /** The old ones answer nothing: they are not given the time to finish. */
  readonly stuck?: boolean;
}

/**
 * Reload: cluster instances that serve are replaced by a rollout; all others have no one to take over from,
 * so they are restarted (or started) with the new spec.
 */
export function reload(
  ports: Ports,
  app: ManagedApp,
  record: AppRecord,
  ids: readonly number[],
  options: ReloadOptions,
): Reload {
  const replaceable = (id: number) =>
    record.spec.mode === 'cluster' && app.current(id).instance.state.kind === 'online';
  const rolling = ids.filter(replaceable);
  const others = ids.filter((id) => !replaceable(id));
  const before = app.record;
  const rollout = new RolloutRun(ports, app, record, rolling, options);
  /** Why it was called off, once it was. */
  let reason: string | null = null;
  let callOff: (reason: string) => void = () => {};
  const calledOff = new Promise<string>((resolve) => {
    callOff = resolve;
  });
  const run = async (): Promise<Outcome[]> => {
    const rolled = await rollout.run();
    // A build that failed as a replacement is not tried on the others either.
    if (rolled.some(({ ok }) => !ok)) {
      const outcomes = [...rolled, ...others.map((id) => failedWith(app.current(id), NOT_TRIED))];
      // What is left of the old ones, if anything, is what the app goes on with.
      app.record = outcomes.every(({ ok, replaced }) => ok || replaced) ? record : before;
      return outcomes;
    }
    if (reason !== null) return [...rolled, ...others.map((id) => failedWith(app.current(id), reason as string))];
    app.record = record;
    const rest = others.map(async (id): Promise<Outcome> => {
      const managed = app.current(id);
      managed.setSpec(record.spec);
      const outcome = await Promise.race([
        bringUp(ports, managed, { kind: 'restart', how: 'gap', why: options.why }),
        calledOff.then((why) => failedWith(managed, why)),
      ]);
      return outcome.ok ? outcome : { ...outcome, replaced: true };
    });
    return [...rolled, ...(await Promise.all(rest))];
  };
  const abort = (why: string): void => {
    reason ??= why;
    rollout.handle({ kind: 'abort', reason: why });
    callOff(why);
  };
  return { outcomes: run(), abort };
}

/** Of the watch on an instance that was ready. */
type Verdict = 'passed' | 'fell over' | { readonly reason: string };

/** Of one that stayed up, and did not pass for another reason. */
const ALL_THE_SAME = 'with `min_ready: 1s` it need only stay up';

/** Drives one rollout machine over an app. */
class RolloutRun {
  readonly #ports: Ports;
  readonly #app: ManagedApp;
  readonly #record: AppRecord;
  readonly #ids: readonly number[];
  readonly #options: ReloadOptions;
  readonly #discards: Promise<void>[] = [];
  readonly #outcomes = new Map<number, Outcome>();
  readonly #over: Promise<void>;
  #resolveOver: () => void = () => {};
  /** A new one has taken the place of an old one. */
  #isMixed = false;
  #step: RolloutStep;

  constructor(ports: Ports, app: ManagedApp, record: AppRecord, ids: readonly number[], options: ReloadOptions) {
    this.#ports = ports;
    this.#app = app;
    this.#record = record;
    this.#ids = ids;
    this.#options = options;
    this.#step = beginRollout(ids, record.spec.rollout);
    this.#over = new Promise((resolve) => {
      this.#resolveOver = resolve;
    });
  }

  async run(): Promise<Outcome[]> {
    this.#app.nextGeneration();
    this.#perform();
    await this.#over;
    await Promise.all(this.#discards);
    const why = this.#step.rollout.failure;
    return this.#ids.map(
      (id) => this.#outcomes.get(id) ?? failedWith(this.#app.current(id), why?.id === null ? why.reason : NOT_TRIED),
    );
  }

  handle(event: RolloutEvent): void {
    this.#step = stepRollout(this.#step.rollout, event);
    this.#perform();
  }

  #perform(): void {
    for (const effect of this.#step.effects) {
      switch (effect.kind) {
        case 'spawn':
          void this.#spawn(effect.id);
          break;
        case 'replace':
          void this.#replace(effect.id);
          break;
        case 'drain':
          void this.#drain(effect.id);
          break;
        case 'discard':
          this.#discards.push(this.#discard(effect.id));
          break;
      }
    }
    if (isOver(this.#step.rollout)) this.#resolveOver();
  }

  async #spawn(id: number): Promise<void> {
    const isCanary = this.#step.rollout.onTrial && this.#options.canaryMs > 0;
    const candidate = this.#app.addCandidate(id, this.#record.spec, isCanary);
    candidate.send({ kind: 'start' });
    const limitMs = START_DEADLINE_MS * 2 + this.#record.spec.ready.listenTimeoutMs;
    const ready = await watchUntil(
      this.#ports,
      candidate,
      () => {
        const { kind } = candidate.instance.state;
        if (kind === 'online') return true;
        return kind === 'errored' || kind === 'stopped' ? false : null;
      },
      limitMs,
    );
    // Called off meanwhile: a failure is not the candidate's.
    const isWanted = (): boolean => this.#step.rollout.starting.includes(id);
    const verdict = ready ? await this.#prove(candidate, isWanted) : 'fell over';
    if (verdict === 'passed') return this.handle({ kind: 'ready', id });
    if (isWanted()) this.#fail(id, candidate, verdict, 'trial', this.#consequence());
  }

  /** Watches an instance that is ready: for min_ready, else the first one for its trial; and as a canary. */
  async #prove(fresh: ManagedInstance, isWanted: () => boolean): Promise<Verdict> {
    const onTrial = this.#step.rollout.onTrial && !this.#options.sameBuild;
    const { minReadyMs } = this.#record.spec.rollout;
    const canaryMs = onTrial ? this.#options.canaryMs : 0;
    const fell = (): Verdict | null => (fresh.instance.state.kind === 'online' && isWanted() ? null : 'fell over');
    if (minReadyMs > 0 || !onTrial) {
      const watchMs = Math.max(minReadyMs, canaryMs);
      return (watchMs > 0 ? await watchUntil(this.#ports, fresh, fell, watchMs) : fell()) ?? 'passed';
    }
    const { leastMs, mostMs } = trialTimes(canaryMs);
    fresh.watchAnswers(mostMs);
    const early = await watchUntil(this.#ports, fresh, fell, leastMs);
    if (early !== null) return early;
    const passes = (): Verdict | null => fell() ?? (passesEarly(fresh.sight) ? 'passed' : null);
    const verdict = await watchUntil(this.#ports, fresh, passes, mostMs - leastMs);
    if (verdict !== null) return verdict;
    const reason = whyNotPassed(fresh.sight.answers);
    return reason === null ? 'passed' : { reason };
  }

  #consequence(): string {
    const isMixed = this.#options.why === undefined && this.#isMixed;
    const { name } = this.#record.spec;
    return isMixed
      ? `new and old serve on: \`upkeep rollback ${name}\` takes back what is new`
      : 'what is old serves on';
  }

  #fail(
    id: number,
    fresh: ManagedInstance,
    verdict: Exclude<Verdict, 'passed'>,
    role: Role,
    consequence: string,
  ): void {
    const explained =
      verdict === 'fell over'
        ? explainFailure(fresh, this.#ports, role)
        : { ...verdict, hint: ALL_THE_SAME, stderr: fresh.lastWords.stderr };
    const hint = `${consequence}${explained.hint ? `; ${explained.hint}` : ''}`;
    this.#outcomes.set(id, { ...failedWith(fresh, ''), ...explained, hint, replaced: role === 'replacement' });
    this.handle({ kind: 'failed', id, reason: explained.reason ?? 'did not get ready' });
  }

  /** The old instance goes first: the new one takes its place. */
  async #replace(id: number): Promise<void> {
    const managed = this.#app.current(id);
    managed.setSpec(this.#record.spec);
    this.#isMixed = true;
    const why = this.#options.why ?? REPLACED;
    const outcome = await bringUp(this.#ports, managed, { kind: 'restart', how: 'covered', why }, 'replacement');
    const isWanted = (): boolean => this.#step.rollout.inPlace.includes(id);
    const verdict = outcome.ok ? await this.#prove(managed, isWanted) : null;
    if (verdict === 'passed') {
      this.#outcomes.set(id, outcome);
      this.#watchOver(managed);
      return this.handle({ kind: 'ready', id });
    }
    if (verdict !== null) return this.#fail(id, managed, verdict, 'replacement', 'the others serve on');
    this.#outcomes.set(id, { ...outcome, replaced: true });
    this.handle({ kind: 'failed', id, reason: outcome.reason ?? 'did not get ready' });
  }

  async #drain(id: number): Promise<void> {
    const old = this.#app.promote(id);
    this.#isMixed = true;
    const fresh = this.#app.current(id);
    const { stuck = false, why = REPLACED } = this.#options;
    this.#watchOver(fresh);
    const outcome = await takeDown(this.#ports, old, stuck ? 'final' : 'covered', why);
    if (!this.#outcomes.has(id)) this.#outcomes.set(id, outcome.ok ? cameUp(fresh) : outcome);
    this.handle({ kind: 'drained', id });
  }

  /** One that took over, and falls over while the rollout runs, is no better than one that never got ready. */
  #watchOver(fresh: ManagedInstance): void {
    const { id } = fresh.slot;
    const check = (): void => {
      if (fresh.instance.state.kind === 'online') return;
      unwatch();
      const explained = explainFailure(fresh, this.#ports, 'replacement');
      const reason = `it was ready, and then failed: ${explained.reason}`;
      this.#outcomes.set(id, { ...failedWith(fresh, ''), ...explained, reason, replaced: true });
      this.handle({ kind: 'abort', reason: NOT_TRIED });
    };
    const unwatch = fresh.watch(check);
    void this.#over.then(unwatch);
    check();
  }

  async #discard(id: number): Promise<void> {
    const candidate = this.#app.dropCandidate(id);
    if (!candidate) return;
    await takeDown(this.#ports, candidate, 'covered');
  }
}
