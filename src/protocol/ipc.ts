/**
 * What crosses the IPC channel between a supervisor and the bootstrap inside the user's Node.js process.
 * `cmd` starts with NODE_, so that Node emits it as 'internalMessage': the app's own 'message' handlers never see it.
 */
export const IPC_CMD = 'NODE_UPKEEP';

/** From the bootstrap to the supervisor. */
export type FromApp =
  /** The main module has been evaluated, and every listen() it made has succeeded or failed. */
  | { readonly kind: 'main-ran' }
  | { readonly kind: 'listening'; readonly address: string }
  /** An uncaught error is about to end the process. */
  | { readonly kind: 'uncaught'; readonly error: AppError }
  /** Its listeners are closed: what the primary sent it before it hears of that is still on its way. */
  | { readonly kind: 'stopped-listening' }
  /** Asked to shut down, the app turned out not to take messages: please send the signal. */
  | { readonly kind: 'want-signal' };

/** From the supervisor to the bootstrap. */
export type ToApp =
  | {
      readonly kind: 'shutdown';
      /** The signal that an app may handle instead of the message. */
      readonly signal: string;
      /** Stop listening and finish what is in flight; else only pass the message on. */
      readonly drain: boolean;
    }
  /** The answer to `stopped-listening`: no connection follows this message. */
  | { readonly kind: 'nothing-follows' };

export interface AppError {
  readonly message: string;
  readonly code: string | null;
  readonly syscall: string | null;
  readonly address: string | null;
  readonly port: number | null;
}

export interface IpcEnvelope<Body> {
  readonly cmd: typeof IPC_CMD;
  readonly body: Body;
}

/**
 * Loaded by `--import` after the app's own imports, when it has any: module hooks are in place from then on.
 * The bootstrap waits for this event.
 */
export const IMPORTS_EVENT = 'upkeep:imports';
export const IMPORTS_URL = `data:text/javascript,process.emit("${IMPORTS_EVENT}")`;
