import type { Socket } from 'node:net';
import type { AppSpec, Check } from '../../src/domain/app-spec.ts';
import type { DrainOrder } from '../../src/domain/drain-times.ts';
import type { LostLines, Slot } from '../../src/protocol/messages.ts';
import type {
  AdoptRequest,
  Clock,
  Descriptors,
  Launcher,
  LaunchRequest,
  Ledger,
  LogCapture,
  LogStore,
  Pipes,
  Ports,
  ProcessEvent,
  RunIdentity,
  RunningProcess,
} from '../../src/supervisor/ports.ts';

/** Time that passes only when it is told to. */
class FakeClock implements Clock {
  #now = 1_000_000;
  #timers: { readonly at: number; readonly action: () => void }[] = [];

  readonly now = (): number => this.#now;

  /** By how much the wall clock is ahead; a test sets it. */
  ahead = 0;
  readonly epoch = (): number => this.ahead;

  readonly after = (ms: number, action: () => void): (() => void) => {
    const timer = { at: this.#now + ms, action };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  };

  /** Milliseconds until each timer that is set. */
  get pending(): readonly number[] {
    return this.#timers.map(({ at }) => at - this.#now).toSorted((a, b) => a - b);
  }

  /** Lets time pass, firing what is due in order, and what that causes. */
  async advance(ms: number): Promise<void> {
    const until = this.#now + ms;
    for (;;) {
      await turn();
      const next = this.#timers.toSorted((a, b) => a.at - b.at)[0];
      if (!next || next.at > until) break;
      this.#timers = this.#timers.filter((timer) => timer !== next);
      this.#now = next.at;
      next.action();
    }
    this.#now = until;
    await turn();
  }
}

/** Waits until everything that needs no time has happened. */
export function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(() => setImmediate(resolve));
  });
}

/** A process of the fake world: it does nothing but what the test, or its script, makes it do. */
export class FakeProcess implements RunningProcess {
  readonly pid: number;
  readonly request: LaunchRequest;
  readonly signals: string[] = [];
  asked: string | null = null;
  drain: DrainOrder | null = null;
  drainEnded = false;
  awaited = false;
  forgotten = false;
  alive = true;
  #on: (event: ProcessEvent) => void;
  readonly #script: ProcessScript;

  constructor(pid: number, request: LaunchRequest, on: (event: ProcessEvent) => void, script: ProcessScript) {
    this.pid = pid;
    this.request = request;
    this.#on = on;
    this.#script = script;
  }

  get id(): number {
    return this.request.slot.id;
  }

  get run(): RunIdentity {
    return { pid: this.pid, startTime: String(this.pid), token: `token ${this.pid}` };
  }

  /** Another supervisor takes it over. */
  handTo(on: (event: ProcessEvent) => void): void {
    this.#on = on;
    this.forgotten = false;
  }

  emit(event: ProcessEvent): void {
    if (!this.forgotten) this.#on(event);
  }

  exit(code: number | null = 0, signal: string | null = null, treeAlive = false): void {
    this.alive = false;
    this.emit({ kind: 'exited', exit: { code, signal }, treeAlive });
  }

  listen(address = '*:3000'): void {
    this.emit({ kind: 'main-ran' });
    this.emit({ kind: 'listening', address });
  }

  readonly askShutdown = (signal: string, drain: DrainOrder | null): void => {
    this.asked = signal;
    this.drain = drain;
    if (this.#script.obeys) this.#later(() => this.exit());
  };

  readonly signal = (signal: string, tree: boolean): void => {
    this.signals.push(tree ? `${signal} tree` : signal);
    const { obeys, immortal = false } = this.#script;
    const ends = signal === 'SIGKILL' ? !immortal : obeys && signal !== 'SIGHUP';
    if (ends) this.#later(() => this.exit(null, signal));
  };

  readonly endDrain = (): void => {
    this.drainEnded = true;
  };

  admitted = false;
  readonly admit = (): void => {
    this.admitted = true;
  };

  pings = 0;
  readonly ping = (): void => {
    this.pings++;
  };

  /** For how long its answers are asked for. */
  watchedMs: number | null = null;
  readonly watchAnswers = (ms: number): void => {
    this.watchedMs = ms;
    this.#script.onTrial?.(this);
  };

  readonly connect = (): Promise<Socket> => Promise.reject(new Error('there is nothing to connect to'));

  letsGo = 0;
  readonly letGo = (): void => {
    this.letsGo++;
  };

  readonly awaitTree = (): void => {
    this.awaited = true;
  };

  readonly forget = (): void => {
    this.forgotten = true;
  };

  #later(action: () => void): void {
    queueMicrotask(() => {
      if (this.alive) action();
    });
  }
}

/** How the processes of a test behave by themselves. */
export interface ProcessScript {
  /** They end when they are asked to; SIGHUP asks for something else. */
  readonly obeys: boolean;
  /** Not even SIGKILL ends them, as when the kernel waits for a dead disk. */
  readonly immortal?: boolean;
  /** What one does once it runs. */
  readonly run: (process: FakeProcess) => void;
  /** What one does once it is on trial. */
  readonly onTrial?: (process: FakeProcess) => void;
}

export const serves: ProcessScript = { obeys: true, run: (process) => process.listen() };
/** It waits for what the test makes of it. */
export const waits: ProcessScript = { obeys: true, run: () => {} };
/** It cannot be ended but by SIGKILL. */
export const stubborn: ProcessScript = { obeys: false, run: (process) => process.listen() };
/** It ends by itself before it is ready. */
export const crashes: ProcessScript = { obeys: true, run: (process) => process.exit(1) };

class FakeLauncher implements Launcher {
  readonly processes: FakeProcess[] = [];
  /** The script of what is launched from now on. */
  script: ProcessScript = serves;
  /** Of scripts that do not tell. */
  onTrial: (process: FakeProcess) => void = () => {};
  /** Set, and nothing can be launched. */
  failure: string | null = null;
  short = false;
  #nextPid = 100;

  prepare: Launcher['prepare'] = () => null;

  readonly launch = (request: LaunchRequest, on: (event: ProcessEvent) => void): RunningProcess => {
    const { failure } = this;
    const script = { onTrial: this.onTrial, ...this.script };
    const process = new FakeProcess(this.#nextPid++, request, on, script);
    if (failure !== null) {
      process.alive = false;
      queueMicrotask(() => process.emit({ kind: 'spawn-failed', reason: failure, short: this.short }));
      return process;
    }
    this.processes.push(process);
    on({ kind: 'spawned', run: process.run });
    queueMicrotask(() => {
      if (process.alive) script.run(process);
    });
    return process;
  };

  readonly adopt = ({ run }: AdoptRequest, on: (event: ProcessEvent) => void): RunningProcess | null => {
    const process = this.alive.find(({ pid }) => pid === run.pid);
    process?.handTo(on);
    return process ?? null;
  };

  quiesced = false;
  readonly quiesce = async (): Promise<void> => {
    this.quiesced = true;
  };

  /** What it was last told: whether anything runs. */
  running: boolean | null = null;

  readonly settled = (running: boolean): void => {
    this.running = running;
  };

  get alive(): readonly FakeProcess[] {
    return this.processes.filter(({ alive }) => alive);
  }

  /** The newest process of an instance. */
  of(id: number): FakeProcess {
    const process = this.processes.findLast((process) => process.id === id);
    if (!process) throw new Error(`nothing was launched for instance ${id}`);
    return process;
  }
}

class FakeLogs implements LogStore {
  async close(): Promise<void> {}

  readonly gaps: number[] = [];
  readonly noteGap = (_spec: AppSpec, slot: Slot): void => {
    this.gaps.push(slot.id);
  };

  reopened = 0;
  readonly reopen = (): void => {
    this.reopened++;
  };

  left = false;
  readonly leave = async (): Promise<void> => {
    this.left = true;
  };

  readonly reserved: number[] = [];
  readonly captures: FakeCapture[] = [];
  failure: Error | null = null;

  readonly reserve = (instances: number): void => {
    if (this.failure) throw this.failure;
    if (instances > 0) this.reserved.push(instances);
  };

  readonly open = (spec: AppSpec, slot: Slot, pipes: Pipes | null = null): LogCapture => {
    if (this.failure) throw this.failure;
    const n = this.captures.length;
    const capture = new FakeCapture(spec, slot, pipes ?? { out: `${n}.out`, err: `${n}.err` });
    this.captures.push(capture);
    return capture;
  };

  /** What was kept at each sweep. */
  readonly swept: (readonly Pipes[])[] = [];
  readonly sweep = async (kept: readonly Pipes[]): Promise<void> => {
    this.swept.push(kept);
  };
}

class FakeCapture implements LogCapture {
  readonly pipes: Pipes;
  readonly spec: AppSpec;
  readonly slot: Slot;
  closed = false;
  openDescriptors = 0;
  #unread: string[] = [];
  #tail: string[] = [];

  constructor(spec: AppSpec, slot: Slot, pipes: Pipes) {
    this.spec = spec;
    this.slot = slot;
    this.pipes = pipes;
  }

  /** What the app wrote and nobody has read yet. */
  write(...lines: string[]): void {
    this.#unread.push(...lines);
  }

  readonly descriptors = (): Descriptors => {
    this.openDescriptors++;
    return { inFd: -1, outFd: -1, errFd: -1, close: () => this.openDescriptors-- };
  };

  readonly drain = (): void => {
    this.#tail.push(...this.#unread.splice(0));
  };

  readonly stderrTail = (): readonly string[] => [...this.#tail];

  readonly markRun = (): void => {
    this.#tail = [];
  };

  readonly note = (line: string): void => {
    this.#tail.push(line);
  };

  readonly noteGap = this.note;

  #lost: LostLines | null = null;
  #changed: () => void = () => {};

  readonly lost = (): LostLines | null => this.#lost;

  readonly watchLost = (changed: () => void): void => {
    this.#changed = changed;
  };

  /** From now on lines are lost, or not any more. */
  lose(lost: LostLines | null): void {
    this.#lost = lost;
    this.#changed();
  }

  #watch: ((line: string) => void) | null = null;

  readonly watchLines = (pattern: RegExp, found: () => void): (() => void) => {
    this.#watch = (line) => {
      if (pattern.test(line)) found();
    };
    return () => {
      this.#watch = null;
    };
  };

  /** A line that is read at once. */
  say(line: string): void {
    this.#watch?.(line);
  }

  readonly close = (): void => {
    this.closed = true;
  };
}

/** As a file would: what is read is never what was written, but a copy. */
class FakeLedger implements Ledger {
  readonly #entries = new Map<string, string>();
  /** What was written while it failed goes with the next that does not. */
  readonly #behind = new Map<string, unknown>();
  failure: Error | null = null;

  readonly read = (): ReadonlyMap<string, unknown> =>
    new Map([...this.#entries].map(([key, text]) => [key, JSON.parse(text) as unknown]));

  readonly write = (key: string, entry: unknown): void => {
    this.#behind.set(key, entry);
    if (this.failure) throw this.failure;
    for (const [each, value] of this.#behind) {
      if (value === null) this.#entries.delete(each);
      else this.#entries.set(each, JSON.stringify(value));
    }
    this.#behind.clear();
  };

  readonly remove = (): void => this.#entries.clear();
}

/** All of the operating system that a supervisor knows. */
export class FakePorts implements Ports {
  readonly clock = new FakeClock();
  readonly chance = (): number => 0.5;
  readonly launcher = new FakeLauncher();
  readonly logs = new FakeLogs();
  readonly ledger = new FakeLedger();
  readonly complaints: string[] = [];
  readonly complain = (line: string): void => {
    this.complaints.push(line);
  };
  readonly pidFilesWritten = new Map<string, number>();
  readonly portOwners = new Map<number, string>();

  readonly pidFiles = {
    write: (path: string, pid: number): void => {
      this.pidFilesWritten.set(path, pid);
    },
    remove: (path: string, pid: number): void => {
      if (this.pidFilesWritten.get(path) === pid) this.pidFilesWritten.delete(path);
    },
  };

  /** What each question is answered by. */
  answers: (check: Check) => string | null = () => null;
  readonly prober = { ask: async (check: Check): Promise<string | null> => this.answers(check) };
  stacks: readonly string[] = [];
  readonly blockedStack = async (): Promise<readonly string[]> => this.stacks;
  readonly memory = new Map<number, number>();
  readonly memoryOf = (): ReadonlyMap<number, number> => this.memory;

  readonly portOwner = (port: number): string | null => this.portOwners.get(port) ?? null;
}
