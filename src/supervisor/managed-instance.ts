import type { Address } from '../domain/address.ts';
import type { AppSpec, Check } from '../domain/app-spec.ts';
import type { DrainOrder } from '../domain/drain-times.ts';
import {
  type Instance,
  type InstanceEffect,
  type InstanceEvent,
  instancePolicy,
  newInstance,
  pidOf,
  type Step,
  type Timer,
} from '../domain/instance.ts';
import { instanceEnv } from '../domain/instance-env.ts';
import { resume, step } from '../domain/instance-step.ts';
import { politeSignal } from '../domain/instance-stop.ts';
import { type Exit, FRESH_HISTORY } from '../domain/restart-policy.ts';
import { shortageOf } from '../domain/shortage.ts';
import { type Answers, addAnswer, NO_ANSWERS, type TrialSight } from '../domain/trial.ts';
import type { AppError } from '../protocol/ipc.ts';
import type { LostLines, Slot } from '../protocol/messages.ts';
import { HealthWatch, type Illness, poll, type Sign } from './health-watch.ts';
import type { InstanceEntry } from './ledger-entries.ts';
import type { LogCapture, Pipes, Ports, ProcessEvent, RunIdentity, RunningProcess } from './ports.ts';

export interface ManagedInstanceOptions {
  readonly spec: AppSpec;
  readonly slot: Slot;
  readonly generation: number;
  readonly trial?: boolean;
  readonly restarts?: number;
  /** Where the one listened that it is to replace. */
  readonly before?: readonly Address[];
  /** Its siblings do. */
  readonly mustListen?: boolean;
  /** The other instances of its app. */
  readonly siblings?: () => readonly ManagedInstance[];
  /** Called at each sign that it is not well. */
  readonly onIll?: (illness: Illness) => void;
}

/** What tells that an instance is not well. */
type SignOf = 'health' | 'memory';

/** What a run said at its end. */
export interface LastWords {
  /** The error that ended it, or the listen() that failed, where its bootstrap could tell. */
  readonly uncaught: AppError | null;
  /** The last lines of stderr. */
  readonly stderr: readonly string[];
}

/** Of one process: more are of no use to whoever reads them. */
const MOST_ADDRESSES = 100;

/** Begins a line in logs. */
const KILLED = 'the supervisor was killed: what it had read and not yet written';

const NO_WORDS: LastWords = { uncaught: null, stderr: [] };

/** Drives one instance machine: feeds it events one at a time and performs its effects. */
export class ManagedInstance {
  readonly slot: Slot;
  readonly generation: number;
  readonly siblings: () => readonly ManagedInstance[];
  readonly #ports: Ports;
  readonly #watchers = new Set<() => void>();
  readonly #timers = new Map<Timer, () => void>();
  readonly #queue: InstanceEvent[] = [];
  #spec: AppSpec;
  #nextSpec: AppSpec;
  #instance: Instance;
  #process: RunningProcess | null = null;
  #run: RunIdentity | null = null;
  #logs: LogCapture | null = null;
  #busy = false;
  /** Counts them: what was prepared for one is of no use to the next. */
  #spawns = 0;
  #failures = 0;
  #listens: readonly Address[] = [];
  /** Where the last run that was online listened. */
  #before: readonly Address[];
  #mustListen: boolean;
  /** Since they are watched; null while they are not. */
  #answers: Answers | null = null;
  #settled = false;
  #uncaught: AppError | null = null;
  #lastWords: LastWords | null = null;
  #pidFile: string | null = null;
  #env: Readonly<Record<string, string>> = {};
  readonly #onIll: (illness: Illness) => void;
  /** Ends the questions that belong to the present state. */
  #endAsking: () => void = () => {};
  #health: HealthWatch | null = null;
  readonly #illnesses = new Map<SignOf, Illness>();

  constructor(ports: Ports, options: ManagedInstanceOptions) {
    const { spec, slot, generation, trial = false, restarts = 0, onIll = () => {} } = options;
    const { before = [], mustListen = before.length > 0 } = options;
    this.siblings = options.siblings ?? (() => []);
    this.#before = before;
    this.#mustListen = mustListen;
    this.#onIll = onIll;
    this.#ports = ports;
    this.slot = slot;
    this.generation = generation;
    this.#spec = spec;
    this.#nextSpec = spec;
    this.#instance = newInstance(instancePolicy(spec, mustListen), { trial, restarts, chance: ports.chance() });
  }

  get spec(): AppSpec {
    return this.#spec;
  }

  /** What the next supervisor must know of it. @param appSpec that of its app. */
  entry(appSpec: AppSpec): InstanceEntry {
    const { policy: _, ...instance } = this.#instance;
    return {
      spec: this.#spec === appSpec ? null : this.#spec,
      generation: this.generation,
      instance,
      run: this.#run,
      pipes: this.#logs?.pipes ?? null,
      listens: this.listens,
    };
  }

  /**
   * Takes up what another supervisor has left, without changing anything yet: see `goOn`.
   * @returns the pipes that are still in use.
   */
  adopt({ instance, run, pipes, listens }: InstanceEntry, handedOver: boolean): Pipes | null {
    const { policy, chance } = this.#instance;
    // What an older supervisor has left lacks what it did not know.
    this.#instance = { ...instance, chance, history: { ...FRESH_HISTORY, ...instance.history }, policy };
    // Of which of them the port was the system's choice, the app tells when it comes.
    this.#listens = listens.map((address) => ({ address, anyPort: false }));
    const held = instance.state.kind === 'starting';
    this.#process =
      run &&
      this.#ports.launcher.adopt({ spec: this.#spec, slot: this.slot, run, held }, (event) => this.#onProcess(event));
    if (!this.#process) {
      if (run && !handedOver)
        this.#ports.logs.noteGap(this.#spec, this.slot, `${KILLED}, or its app's last words, may be missing here`);
      return null;
    }
    this.#run = run;
    this.#env = instanceEnv(this.#spec, this.slot);
    try {
      this.#logs = this.#ports.logs.open(this.#spec, this.slot, pipes);
      if (!handedOver) this.#logs.noteGap(`${KILLED} may be missing here`);
      this.#watchLost();
    } catch {
      // It runs, and that comes first; its next run tells why there is no log.
    }
    return this.#logs?.pipes ?? null;
  }

  /** Goes on with what was adopted, or ended meanwhile. */
  goOn(): void {
    const { state } = this.#instance;
    if (!this.#process && pidOf(this.#instance) !== null) {
      return this.send({ kind: 'exited', exit: { code: null, signal: null, unseen: true }, treeAlive: false });
    }
    this.#apply(resume(this.#instance, this.#ports.clock.now()));
    if (state.kind === 'starting') this.#askReadiness();
    if (state.kind === 'online') {
      this.#process?.admit();
      this.#watchHealth();
    }
    // What the start of a process has told meanwhile.
    this.#work();
  }

  get instance(): Instance {
    return this.#instance;
  }

  get pid(): number | null {
    return pidOf(this.#instance);
  }

  /** Addresses that the running process listens on. */
  get listens(): readonly string[] {
    return this.#listens.map(({ address }) => address);
  }

  get addresses(): readonly Address[] {
    return this.#listens;
  }

  /** Where it listened before; none where it did not, or never ran. */
  get before(): readonly Address[] {
    return this.#before;
  }

  /** It does not listen, though it must. */
  get isDeaf(): boolean {
    const { mustListen, ready } = this.#instance.policy;
    // With a word or a probe of its own it is ready by that.
    return mustListen && !ready.waitReady && !ready.probe && this.#listens.length === 0;
  }

  /** How it does on trial. */
  get sight(): TrialSight {
    return { settled: this.#settled, answers: this.#answers ?? NO_ANSWERS };
  }

  /** It is on trial for so long at most. */
  watchAnswers(ms: number): void {
    this.#answers = NO_ANSWERS;
    this.#process?.watchAnswers(ms);
  }

  /** Why it is not well; null while it is, or does not run. */
  get illness(): Illness | null {
    const [first = null] = this.#illnesses.values();
    return first;
  }

  /** What a look at it has found; null: it is well as far as that goes. */
  mark(what: SignOf, sign: Sign | null): void {
    const before = this.#illnesses.get(what);
    if (sign) {
      const illness = { ...sign, since: before?.since ?? this.#ports.clock.now() };
      this.#illnesses.set(what, illness);
      this.#onIll(illness);
    } else this.#illnesses.delete(what);
    if (before?.reason === sign?.reason) return;
    this.#tell();
  }

  /** What its logs could not keep. */
  get lost(): LostLines | null {
    return this.#logs?.lost() ?? null;
  }

  /** How many runs failed before they were ready. */
  get failures(): number {
    return this.#failures;
  }

  /** What is known of the end of the last run; of the present one, while none has ended. */
  get lastWords(): LastWords {
    return this.#lastWords ?? this.#words();
  }

  /** The next run follows this spec. */
  setSpec(spec: AppSpec): void {
    this.#nextSpec = spec;
  }

  /** @returns what ends the watch. The watcher is called after every event. */
  watch(watcher: () => void): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  send(event: InstanceEvent): void {
    this.#queue.push(event);
    this.#work();
  }

  #work(): void {
    if (this.#busy) return;
    this.#busy = true;
    try {
      for (let next = this.#queue.shift(); next; next = this.#queue.shift()) this.#handle(next);
    } finally {
      this.#busy = false;
    }
    this.#tell();
  }

  signal(signal: string): void {
    this.#process?.signal(signal, false);
  }

  /** Drops what is held for an instance whose process is gone. */
  dispose(): void {
    this.#spawns++;
    this.#dropTimers();
    this.#stopAsking();
    this.#process?.forget();
    this.#closeLogs();
    this.#watchers.clear();
  }

  #handle(event: InstanceEvent): void {
    this.#apply(step(this.#instance, event, this.#ports.clock.now()));
  }

  #apply({ instance, effects }: Step): void {
    const before = this.#instance.state;
    const after = instance.state;
    this.#instance = instance;
    const respawns = effects.some(({ kind }) => kind === 'spawn');
    // Before it closes what it listens on.
    if (before.kind === 'online' && after.kind !== 'online' && this.#run) this.#remember();
    if (before.kind !== after.kind || respawns) {
      this.#dropTimers();
      this.#stopAsking();
      if (after.kind === 'online') {
        // What failed before, as a listen() where another does, the app has handled.
        this.#uncaught = null;
        this.#process?.admit();
        this.#watchHealth();
      }
    }
    const ended = !['online', 'draining', 'stopping', 'stopped'].includes(after.kind);
    const diedStarting = before.kind === 'starting' && (after.kind !== 'starting' || respawns);
    if (diedStarting && ended) this.#failures++;
    if (before.kind === 'stopping' && before.next.kind === 'fail' && after.kind !== 'stopping') this.#failures++;
    for (const effect of effects) this.#perform(effect);
  }

  #perform(effect: InstanceEffect): void {
    switch (effect.kind) {
      case 'spawn':
        return this.#spawn();
      case 'ask-shutdown':
        return this.#askShutdown(effect.drain);
      case 'end-drain':
        return this.#process?.endDrain();
      case 'signal':
        this.#process?.signal(effect.signal, effect.tree);
        return this.#process?.letGo();
      case 'await-tree':
        return this.#process?.awaitTree();
      case 'set-timer': {
        const { timer, ms } = effect;
        this.#timers.get(timer)?.();
        const drop = this.#ports.clock.after(ms, () => {
          this.#timers.delete(timer);
          this.send({ kind: 'timer', timer });
        });
        this.#timers.set(timer, drop);
      }
    }
  }

  #askShutdown(drain: DrainOrder | null): void {
    const { signal, killTimeoutMs } = this.#spec.stop;
    this.#process?.askShutdown(signal, drain, killTimeoutMs / 2);
  }

  #spawn(): void {
    this.#process?.forget();
    this.#process = null;
    this.#run = null;
    this.#listens = [];
    this.#settled = false;
    this.#answers = null;
    this.#uncaught = null;
    this.#takeNextSpec();
    const spawn = ++this.#spawns;
    const preparing = this.#ports.launcher.prepare(this.#spec);
    if (!preparing) return this.#launch();
    preparing.then(
      () => {
        if (spawn !== this.#spawns) return;
        if (this.#instance.state.kind === 'starting') this.#launch();
        else this.#spawnFailed(new Error('called off'));
      },
      (error: unknown) => {
        if (spawn === this.#spawns) this.#spawnFailed(error);
      },
    );
  }

  #launch(): void {
    try {
      if (!this.#logs) {
        this.#logs = this.#ports.logs.open(this.#spec, this.slot);
        this.#watchLost();
      }
      this.#logs.markRun(this.#spec);
      const descriptors = this.#logs.descriptors();
      try {
        this.#env = instanceEnv(this.#spec, this.slot);
        const request = { spec: this.#spec, slot: this.slot, env: this.#env, descriptors };
        this.#process = this.#ports.launcher.launch(request, (event) => this.#onProcess(event));
      } finally {
        descriptors.close();
      }
    } catch (error) {
      this.#spawnFailed(error);
    }
  }

  #spawnFailed(error: unknown): void {
    this.#lastWords = NO_WORDS;
    const shortage = shortageOf(error);
    const message = error instanceof Error ? error.message : String(error);
    this.send({ kind: 'spawn-failed', reason: shortage ?? message, short: shortage !== null });
  }

  #takeNextSpec(): void {
    const spec = this.#nextSpec;
    this.#instance = { ...this.#instance, policy: instancePolicy(spec, this.#mustListen) };
    if (spec === this.#spec) return;
    if (JSON.stringify(this.#spec.logs) !== JSON.stringify(spec.logs)) this.#closeLogs();
    this.#spec = spec;
  }

  #onProcess(event: ProcessEvent): void {
    switch (event.kind) {
      case 'spawned':
        this.#pidFile = this.#spec.pidFile?.replaceAll('{id}', String(this.slot.id)) ?? null;
        this.#run = event.run;
        if (this.#pidFile !== null) this.#ports.pidFiles.write(this.#pidFile, event.run.pid);
        this.send({ kind: 'spawned', pid: event.run.pid });
        return this.#askReadiness();
      case 'listening':
        this.#listensOn({ address: event.address, anyPort: event.anyPort ?? false });
        // An app that found its port in use has found another.
        this.#uncaught = null;
        return this.send({ kind: 'listening' });
      case 'closed':
        this.#listens = this.#listens.filter(({ address }) => address !== event.address);
        return this.#listens.length === 0 ? this.send({ kind: 'closed' }) : this.#tell();
      case 'pong':
        return this.#health?.pong();
      case 'answered':
        return this.#answered(event.status);
      case 'want-signal':
        return this.#perform(politeSignal(this.#spec.stop));
      case 'uncaught':
        this.#uncaught = event.error;
        return;
      case 'exited':
        if (this.#instance.state.kind === 'online') this.#remember();
        this.#run = null;
        this.#logs?.drain();
        this.#lastWords = this.#words();
        this.#listens = [];
        this.#removePidFile();
        return this.send({ ...event, exit: withHeapLimit(event.exit, this.#lastWords.stderr) });
      case 'spawn-failed':
        this.#run = null;
        this.#lastWords = NO_WORDS;
        this.#removePidFile();
        return this.send(event);
      case 'settled':
        this.#settled = true;
        return this.send(event);
      case 'main-ran':
      case 'ready':
      case 'probed':
      case 'only-streams':
      case 'drained':
      case 'tree-gone':
        return this.send(event);
    }
  }

  #listensOn(found: Address): void {
    const others = this.#listens.filter(({ address }) => address !== found.address);
    if (others.length < MOST_ADDRESSES) this.#listens = [...others, found];
  }

  #remember(): void {
    this.#before = this.#listens;
    this.#mustListen = this.#listens.length > 0;
  }

  #answered(status: number): void {
    const before = this.#answers;
    this.#answers = before && addAnswer(before, status);
    if (this.#answers !== before) this.#tell();
  }

  /** While it starts: until its probe is answered well. */
  #askReadiness(): void {
    const { probe } = this.#spec.ready;
    if (!probe || this.#instance.state.kind !== 'starting') return;
    const { check, intervalMs, timeoutMs } = probe;
    // Its launcher tells.
    if (check.kind === 'fd') return;
    if (check.kind === 'log') {
      const found = (): void => this.send({ kind: 'probed' });
      this.#endAsking = this.#logs?.watchLines(new RegExp(check.pattern), found) ?? this.#endAsking;
      return;
    }
    this.#endAsking = poll(this.#ports.clock, { intervalMs, firstMs: 0 }, async () => {
      const run = this.#process;
      const reason = await this.#ask(check, timeoutMs);
      // The answer may be that of a run that has ended.
      if (run === this.#process) this.send(reason === null ? { kind: 'probed' } : { kind: 'not-ready', reason });
    });
  }

  #watchHealth(): void {
    const { liveness } = this.#spec;
    if (!liveness) return;
    const ports = {
      ask: (check: Check) => this.#ask(check, liveness.timeoutMs),
      ping: () => this.#process?.ping(),
      stack: () => this.#blockedStack(),
    };
    this.#health = new HealthWatch(this.#ports.clock, liveness, ports, (sign) => this.mark('health', sign));
  }

  /** Saves where it stands in its log. @returns the innermost frame. */
  async #blockedStack(): Promise<string | null> {
    if (this.pid === null || this.#spec.program.runtime !== 'node') return null;
    const frames = await this.#ports.blockedStack(this.pid);
    if (frames.length > 0) {
      this.#logs?.note(['the event loop stands still:', ...frames.map((frame) => `    at ${frame}`)].join('\n'));
    }
    return frames[0] ?? null;
  }

  #ask(check: Check, timeoutMs: number): Promise<string | null> {
    const run = this.#process;
    if (!run) return Promise.resolve('it does not run');
    return this.#ports.prober.ask(check, { spec: this.#spec, env: this.#env, connect: run.connect }, timeoutMs);
  }

  #stopAsking(): void {
    this.#endAsking();
    this.#endAsking = () => {};
    this.#health?.end();
    this.#health = null;
    this.#illnesses.clear();
  }

  #words(): LastWords {
    return { uncaught: this.#uncaught, stderr: this.#logs?.stderrTail() ?? [] };
  }

  #removePidFile(): void {
    if (this.#pidFile !== null && this.pid !== null) this.#ports.pidFiles.remove(this.#pidFile, this.pid);
    this.#pidFile = null;
  }

  #tell(): void {
    for (const watcher of this.#watchers) watcher();
  }

  #watchLost(): void {
    this.#logs?.watchLost(() => this.#tell());
  }

  #closeLogs(): void {
    this.#logs?.close();
    this.#logs = null;
  }

  #dropTimers(): void {
    for (const drop of this.#timers.values()) drop();
    this.#timers.clear();
  }
}

/** V8 that has reached the limit of its heap says so before it aborts. */
function withHeapLimit(exit: Exit, stderr: readonly string[]): Exit {
  return stderr.some((line) => line.includes('heap out of memory')) ? { ...exit, outOfMemory: true } : exit;
}
