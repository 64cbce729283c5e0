import type { ChildProcess } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { readProcess } from './process-table.ts';
import { sendSignal } from './send-signal.ts';

/** That a process is gone is seen within this time; that its pid is another's by now, or it a zombie, a little later. */
const LOOK_MS = 100;
const LOOKS_FOR_A_CLOSE_ONE = 10;
const MOST_UNSAID = 1000;

/** What is watched of a child process: one of Node's, or one that another supervisor has started. */
export interface WatchedChild extends NodeJS.EventEmitter {
  readonly pid?: number | undefined;
  readonly connected: boolean;
  readonly spawnfile: string;
  readonly send: ChildProcess['send'];
  readonly kill: (signal: NodeJS.Signals) => boolean;
  readonly disconnect?: () => void;
}

/** A process that was the child of a supervisor that is gone. Its end is seen by looking; its exit code it tells itself. */
export class AdoptedChild extends EventEmitter implements WatchedChild {
  readonly pid: number;
  readonly spawnfile = '';
  readonly #startTime: string;
  #channel: ChildProcess | null = null;
  /** What is to be said once it has come; null where it does not come, or has. */
  #unsaid: Parameters<ChildProcess['send']>[] | null;
  #exitCode: number | null = null;
  #looks = 0;

  /** @param comes whether it is a Node.js app, which comes to be attached. */
  constructor(pid: number, startTime: string, comes: boolean) {
    super();
    this.pid = pid;
    this.#unsaid = comes ? [] : null;
    this.#startTime = startTime;
    // So that not all are looked at closely at once.
    this.#looks = watched.size;
    watched.add(this);
    watching ??= setInterval(lookAtAll, LOOK_MS);
  }

  /** Also while it is awaited: what is said until then is said when it comes. */
  get connected(): boolean {
    return this.#unsaid !== null || (this.#channel?.connected ?? false);
  }

  /** It has come by itself. */
  attach(channel: ChildProcess): void {
    this.#channel = channel;
    for (const event of ['message', 'internalMessage', 'error']) {
      (channel as NodeJS.EventEmitter).on(event, (...args: unknown[]) => this.emit(event, ...args));
    }
    channel.on('disconnect', () => {
      this.emit('disconnect');
      this.look();
    });
    const unsaid = this.#unsaid ?? [];
    this.#unsaid = null;
    for (const message of unsaid) channel.send(...message);
  }

  /** It has not come in time. */
  giveUp(): void {
    this.#unsaid = null;
  }

  /** It has said how it is about to end. */
  willExit(code: number): void {
    this.#exitCode = code;
  }

  readonly send = ((...message: Parameters<ChildProcess['send']>): boolean => {
    if (this.#channel) return this.#channel.send(...message);
    // Sockets are given to those only that have come with theirs.
    if (this.#unsaid && this.#unsaid.length < MOST_UNSAID) this.#unsaid.push(message);
    return false;
  }) as ChildProcess['send'];

  /** Its pid may be a stranger's since the last close look. */
  readonly kill = (signal: NodeJS.Signals): boolean =>
    isSame(this.pid, this.#startTime) && sendSignal(this.pid, signal);

  /** Nobody watches it any more. */
  leave(): void {
    watched.delete(this);
    if (watched.size > 0 || !watching) return;
    clearInterval(watching);
    watching = null;
  }

  /** @returns whether it lives; its end is told once. */
  look(): boolean {
    if (!watched.has(this)) return false;
    this.#looks++;
    const close = this.#looks % LOOKS_FOR_A_CLOSE_ONE === 0 || !sendSignal(this.pid, 0);
    if (!close || isSame(this.pid, this.#startTime)) return true;
    this.leave();
    this.emit('exit', this.#exitCode, null);
    return false;
  }
}

/** @returns whether a process is there that started then, and has not ended; also where that cannot be told. */
export function isSame(pid: number, startTime: string): boolean {
  try {
    const stat = readProcess(pid);
    return stat !== null && !stat.zombie && stat.startTime === startTime;
  } catch {
    return true;
  }
}

const watched = new Set<AdoptedChild>();
let watching: NodeJS.Timeout | null = null;

function lookAtAll(): void {
  for (const child of watched) child.look();
}
