import type { ChildProcess } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { readProcess } from './process-table.ts';
import { sendSignal } from './send-signal.ts';

/** That a process is gone is seen within this time; that its pid is another's by now, or it a zombie, a little later. */
const LOOK_MS = 100;
const LOOKS_FOR_A_CLOSE_ONE = 10;

/** What is watched of a child process: one of Node's, or one that another supervisor has started. */
export interface WatchedChild extends NodeJS.EventEmitter {
  readonly pid?: number | undefined;
  readonly connected: boolean;
  readonly spawnfile: string;
  readonly send: ChildProcess['send'];
  readonly kill: (signal: NodeJS.Signals) => boolean;
}

/** A process that was the child of a supervisor that is gone. Its end is seen by looking; its exit code it tells itself. */
export class AdoptedChild extends EventEmitter implements WatchedChild {
  readonly pid: number;
  readonly spawnfile = '';
  readonly #startTime: string;
  #channel: ChildProcess | null = null;
  #exitCode: number | null = null;
  #looks = 0;

  constructor(pid: number, startTime: string) {
    super();
    this.pid = pid;
    this.#startTime = startTime;
    watched.add(this);
    watching ??= setInterval(lookAtAll, LOOK_MS);
  }

  get connected(): boolean {
    return this.#channel?.connected ?? false;
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
  }

  /** It has said how it is about to end. */
  willExit(code: number): void {
    this.#exitCode = code;
  }

  readonly send = ((message: unknown, ...rest: unknown[]) =>
    (this.#channel?.send as ((...args: unknown[]) => boolean) | undefined)?.call(this.#channel, message, ...rest) ??
    false) as ChildProcess['send'];

  readonly kill = (signal: NodeJS.Signals): boolean => this.look() && sendSignal(this.pid, signal);

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

/** @returns whether a process is there that started then, and has not ended. */
export function isSame(pid: number, startTime: string): boolean {
  const stat = readProcess(pid);
  return stat !== null && !stat.zombie && stat.startTime === startTime;
}

const watched = new Set<AdoptedChild>();
let watching: NodeJS.Timeout | null = null;

function lookAtAll(): void {
  for (const child of watched) child.look();
}
