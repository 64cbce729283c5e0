/**
 * What the bootstrap needs of `process`, and of timers, taken before the app: that may remove any of it, or put
 * something else in its place, as for `process.send` and `process.on`.
 */

type Send = (message: unknown, handle: unknown, options: undefined, callback: () => void) => boolean;

export const { setTimeout, clearTimeout, setImmediate, setInterval, clearInterval } = globalThis;

export const on: typeof process.on = process.on.bind(process);
export const once: typeof process.once = process.once.bind(process);
export const off: typeof process.off = process.off.bind(process);
export const listenersOf: typeof process.listeners = process.listeners.bind(process);
export const countListeners: (event: string) => number = process.listenerCount.bind(process);
/** Past whoever takes part in `process.emit`. */
export const emit = process.emit.bind(process) as (event: string, ...args: unknown[]) => boolean;
export const exit: typeof process.exit = process.exit.bind(process);
/** Node's own, which sends through whatever channel there is; none in a thread, or without a channel. */
export const send = process.send?.bind(process) as Send | undefined;
/** The script, where there is one. */
export const main: string | undefined = process.argv[1];
