import type { AppSpec } from '../domain/app-spec.ts';
import {
  type Instance,
  type InstanceEffect,
  type InstanceEvent,
  instancePolicy,
  newInstance,
  pidOf,
  step,
  type Timer,
} from '../domain/instance.ts';
import { instanceEnv } from '../domain/instance-env.ts';
import type { AppError } from '../protocol/ipc.ts';
import type { Slot } from '../protocol/messages.ts';
import type { LogCapture, Ports, ProcessEvent, RunningProcess } from './ports.ts';

export interface ManagedInstanceOptions {
  readonly spec: AppSpec;
  readonly slot: Slot;
  readonly generation: number;
  readonly trial?: boolean;
  readonly restarts?: number;
  readonly mustListen?: boolean;
}

/** What a run said at its end. */
export interface LastWords {
  /** The error that ended it, where its bootstrap could tell. */
  readonly uncaught: AppError | null;
  /** The last lines of stderr. */
  readonly stderr: readonly string[];
}

const NO_WORDS: LastWords = { uncaught: null, stderr: [] };

/** Drives one instance machine: feeds it events one at a time and performs its effects. */
export class ManagedInstance {
  readonly slot: Slot;
  readonly generation: number;
  readonly #ports: Ports;
  readonly #watchers = new Set<() => void>();
  readonly #timers = new Map<Timer, () => void>();
  readonly #queue: InstanceEvent[] = [];
  #spec: AppSpec;
  #nextSpec: AppSpec;
  #instance: Instance;
  #process: RunningProcess | null = null;
  #logs: LogCapture | null = null;
  #busy = false;
  #failures = 0;
  #listens: string[] = [];
  #uncaught: AppError | null = null;
  #lastWords: LastWords | null = null;
  #pidFile: string | null = null;

  constructor(ports: Ports, options: ManagedInstanceOptions) {
    const { spec, slot, generation, trial = false, restarts = 0, mustListen = false } = options;
    this.#ports = ports;
    this.slot = slot;
    this.generation = generation;
    this.#spec = spec;
    this.#nextSpec = spec;
    this.#instance = newInstance(instancePolicy(spec, mustListen), { trial, restarts });
  }

  get spec(): AppSpec {
    return this.#spec;
  }

  get instance(): Instance {
    return this.#instance;
  }

  get pid(): number | null {
    return pidOf(this.#instance);
  }

  /** Addresses that the running process listens on. */
  get listens(): readonly string[] {
    return this.#listens;
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
    if (this.#busy) return;
    this.#busy = true;
    try {
      for (let next = this.#queue.shift(); next; next = this.#queue.shift()) this.#handle(next);
    } finally {
      this.#busy = false;
    }
    for (const watcher of this.#watchers) watcher();
  }

  signal(signal: string): void {
    this.#process?.signal(signal, false);
  }

  /** Drops what is held for an instance whose process is gone. */
  dispose(): void {
    this.#dropTimers();
    this.#process?.forget();
    this.#closeLogs();
    this.#watchers.clear();
  }

  #handle(event: InstanceEvent): void {
    const before = this.#instance.state;
    const { instance, effects } = step(this.#instance, event, this.#ports.clock.now());
    const after = instance.state;
    this.#instance = instance;
    const respawns = effects.some(({ kind }) => kind === 'spawn');
    if (before.kind !== after.kind || respawns) this.#dropTimers();
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
        return this.#process?.askShutdown(this.#spec.stop.signal, effect.drain);
      case 'end-drain':
        return this.#process?.endDrain();
      case 'signal':
        return this.#process?.signal(effect.signal, effect.tree);
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

  #spawn(): void {
    this.#process?.forget();
    this.#process = null;
    this.#listens = [];
    this.#uncaught = null;
    this.#takeNextSpec();
    try {
      this.#logs ??= this.#ports.logs.open(this.#spec, this.slot);
      this.#logs.markRun();
      const { outFd, errFd, close } = this.#logs.descriptors();
      try {
        const env = instanceEnv(this.#spec, this.slot);
        const request = { spec: this.#spec, slot: this.slot, env, outFd, errFd };
        this.#process = this.#ports.launcher.launch(request, (event) => this.#onProcess(event));
      } finally {
        close();
      }
    } catch (error) {
      this.#lastWords = NO_WORDS;
      this.send({ kind: 'spawn-failed', reason: error instanceof Error ? error.message : String(error) });
    }
  }

  #takeNextSpec(): void {
    const spec = this.#nextSpec;
    if (spec === this.#spec) return;
    if (JSON.stringify(this.#spec.logs) !== JSON.stringify(spec.logs)) this.#closeLogs();
    this.#spec = spec;
    this.#instance = { ...this.#instance, policy: instancePolicy(spec) };
  }

  #onProcess(event: ProcessEvent): void {
    switch (event.kind) {
      case 'spawned':
        this.#pidFile = this.#spec.pidFile?.replaceAll('{id}', String(this.slot.id)) ?? null;
        if (this.#pidFile !== null) this.#ports.pidFiles.write(this.#pidFile, event.pid);
        return this.send(event);
      case 'listening':
        if (!this.#listens.includes(event.address)) this.#listens.push(event.address);
        return this.send({ kind: 'listening' });
      case 'want-signal':
        return this.#process?.signal(this.#spec.stop.signal, this.#spec.stop.treekill);
      case 'uncaught':
        this.#uncaught = event.error;
        return;
      case 'exited':
        this.#logs?.drain();
        this.#lastWords = this.#words();
        this.#listens = [];
        this.#removePidFile();
        return this.send(event);
      case 'spawn-failed':
        this.#lastWords = NO_WORDS;
        return this.send(event);
      case 'main-ran':
      case 'ready':
      case 'only-streams':
      case 'drained':
      case 'tree-gone':
        return this.send(event);
    }
  }

  #words(): LastWords {
    return { uncaught: this.#uncaught, stderr: this.#logs?.stderrTail() ?? [] };
  }

  #removePidFile(): void {
    if (this.#pidFile !== null && this.pid !== null) this.#ports.pidFiles.remove(this.#pidFile, this.pid);
    this.#pidFile = null;
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
