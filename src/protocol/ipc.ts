import type { DrainOrder } from '../domain/drain-times.ts';

export type { DrainOrder } from '../domain/drain-times.ts';

/**
 * What crosses the IPC channel between a supervisor and the bootstrap inside the user's Node.js process.
 * `cmd` starts with NODE_, so that Node emits it as 'internalMessage': the app's own 'message' handlers never see it.
 */
export const IPC_CMD = 'NODE_UPKEEP';

/** From the bootstrap to the supervisor. */
export type FromApp =
  /** The main module has been evaluated, and every listen() it made has succeeded or failed. */
  | { readonly kind: 'main-ran' }
  /** Once, after that: nothing that its start began is pending. docs/lifecycle.md tells what that is. */
  | { readonly kind: 'settled' }
  /** Said once no listen() is pending. `anyPort`: which port, was left to the system; an older bootstrap does not tell. */
  | { readonly kind: 'listening'; readonly address: string; readonly anyPort?: boolean | undefined }
  /** It does not listen there any more. */
  | { readonly kind: 'closed'; readonly address: string }
  /** An uncaught error is about to end the process, or a listen() failed: then the app may handle the error. */
  | { readonly kind: 'uncaught'; readonly error: AppError }
  /** Its listeners are closed: what the supervisor sent it before it hears of that is still on its way. */
  | { readonly kind: 'stopped-listening' }
  /** Nothing is left to drain but WebSockets and event streams, which have been told. */
  | { readonly kind: 'only-streams' }
  /** The drain is over; now the app itself is asked to end. */
  | { readonly kind: 'drained' }
  /** Asked to shut down, the app turned out not to take messages: please send the signal. */
  | { readonly kind: 'want-signal' }
  /** The answer to `ping`. */
  | { readonly kind: 'pong' }
  /** The status of an answer to an HTTP request, after `watch-answers`. */
  | { readonly kind: 'answered'; readonly status: number }
  /** The first word on a new channel, after the supervisor before was gone. docs/adoption.md tells the story. */
  | { readonly kind: 'attach'; readonly token: string }
  /** It is about to end: a supervisor that is not its parent is told by nobody else. */
  | { readonly kind: 'exiting'; readonly code: number }
  | FromSockets;

/** Of a worker about the sockets that it shares; docs/sockets.md tells the whole story. */
export type FromSockets =
  /** A server calls listen(): please send its socket. `request` comes back with the answer. */
  | ({ readonly kind: 'open-socket'; readonly request: number } & SocketQuery)
  | { readonly kind: 'close-socket'; readonly socket: string }
  /** To a new supervisor: the keys for session tickets that the one before has given. */
  | { readonly kind: 'ticket-keys'; readonly keys: string }
  /**
   * To a new supervisor, with the socket as its handle: this one is held here. `open` counts its connections; `accepts`:
   * from it, where a supervisor did.
   */
  | ({
      readonly kind: 'have-socket';
      readonly socket: string;
      readonly open: number;
      readonly accepts: boolean;
    } & SocketQuery)
  /** All sockets have been told. */
  | { readonly kind: 'no-more-sockets' }
  /** How many connections of a socket are open. */
  | { readonly kind: 'load'; readonly socket: string; readonly open: number }
  /** With a connection as its handle: please find a worker that has fewer. It is held here too until `passed`. */
  | {
      readonly kind: 'pass-on';
      readonly socket: string;
      readonly open: number;
      readonly pass: number;
      readonly moves: Moves | null;
    }
  /** It has heard nothing of this one for long: is it there? Else `kept`, as without a descriptor free it did not come. */
  | { readonly kind: 'ask-after'; readonly pass: number }
  /** The answer to `offer`: yes, as it is not busy. */
  | { readonly kind: 'claim'; readonly connection: number }
  /** The answers to `take`. */
  | { readonly kind: 'took'; readonly connection: number }
  | { readonly kind: 'declined'; readonly connection: number };

/** What server.listen() asks for, as Node tells it. */
export interface SocketQuery {
  /** A host address, the path of a unix socket, or null for every address. */
  readonly address: string | null;
  /** -1 for a unix socket. */
  readonly port: number;
  /** 4, 6, or -1 for a unix socket. */
  readonly addressType: number;
  readonly flags: number;
  readonly backlog: number;
  /** Counts the sockets for one address in one process, as two for port 0 are two. */
  readonly index: number;
}

/** From the supervisor to the bootstrap. */
export type ToApp =
  | {
      readonly kind: 'shutdown';
      /** The signal that an app may handle instead of the message. */
      readonly signal: string;
      /** Stop listening and finish what is in flight; null: only pass the message on. */
      readonly drain: DrainOrder | null;
      /** How long an app that acts on the message has for that, before the signal where it handles that too. */
      readonly messageMs?: number;
    }
  /** It was sent the signal to end: the channel is to keep it alive no longer. */
  | { readonly kind: 'let-go' }
  /** The answer to `stopped-listening`: no connection follows this message. */
  | { readonly kind: 'nothing-follows' }
  /** The time to drain is over: go on to the end. */
  | { readonly kind: 'end-drain' }
  /** Where to go when this supervisor is gone, and what to say there. */
  | ({ readonly kind: 'identity' } & Identity)
  /** Does its event loop turn? */
  | { readonly kind: 'ping' }
  /** It is on trial for so long: how does it answer? */
  | { readonly kind: 'watch-answers'; readonly ms: number }
  | ToSockets;

export type ToSockets =
  /** With the socket as its handle, unless `errno` is negative; where the supervisor accepts for it, only to be held. */
  | {
      readonly kind: 'socket';
      readonly request: number;
      readonly socket: string;
      readonly errno: number;
      readonly accepts: 'worker' | 'supervisor';
      /** Whether connections beyond the fair share are to be passed on. */
      readonly shares: boolean;
      /** It is not ready: accept nothing before `accept`. */
      readonly hold: boolean;
      readonly sockname: Readonly<Record<string, unknown>>;
      /** Of a socket in the file system, its second name: its path may have been removed meanwhile. */
      readonly spare: string | null;
      /** With `sticky_cookie`: how sessions are marked that begin at this worker. */
      readonly mark: SessionMark | null;
      /** For the session tickets of a TLS server, in base64. An older supervisor has none. */
      readonly ticketKeys?: string;
    }
  /** Go on and accept. */
  | { readonly kind: 'accept'; readonly socket: string }
  /** With a socket as its handle: accept from it too. `instead`: nobody can reach those before any more. */
  | { readonly kind: 'also-socket'; readonly socket: string; readonly instead: boolean }
  /** From now on, these are the keys for session tickets. */
  | { readonly kind: 'ticket-keys'; readonly keys: string }
  /** With the socket as its handle: hold this one, from which the supervisor accepts, and accept from none yourself. */
  | { readonly kind: 'hold'; readonly socket: string }
  /** How many connections of a socket the workers have on average. */
  | { readonly kind: 'mean'; readonly socket: string; readonly mean: number }
  /** What was passed on has found its worker, or an end. */
  | { readonly kind: 'passed'; readonly pass: number }
  /** No other worker has it: it stays with the one that wanted to move it. */
  | { readonly kind: 'kept'; readonly pass: number }
  | { readonly kind: 'offer'; readonly connection: number; readonly socket: string }
  /** With a connection as its handle. `head` is what was read of it, in base64. */
  | {
      readonly kind: 'take';
      readonly connection: number;
      readonly socket: string;
      readonly head: string;
      readonly moves: Moves | null;
    }
  /** It was sent long ago: `declined`, unless it `took` it before, as without a descriptor free it did not come. */
  | { readonly kind: 'ask-after'; readonly connection: number };

/** Who has sent a connection asks after it once, this much later; the question does not overtake it. */
export const ASK_AFTER_MS = 1000;

/** Of a connection that goes on where its worker ends: nothing was asked on it yet, or it lies between two requests. */
export type Moves = 'fresh' | 'idle';

export interface SessionMark {
  /** The app's own cookie. */
  readonly cookie: string;
  /** The worker's place in the app. */
  readonly slot: number;
}

/** The cookie that tells where the session of another one is. */
export function sessionMarkName(cookie: string): string {
  return `${cookie}-upkeep`;
}

export interface Identity {
  /** The unix socket on which the next supervisor awaits the apps of this one. */
  readonly socket: string;
  /** As long as this file is there, somebody may come. */
  readonly ledger: string;
  /** A secret between this process and its supervisors. */
  readonly token: string;
  /** A descriptor of this process, of a folder with another way to that socket, `ATTACH_DOOR`; null for none. */
  readonly door: number | null;
}

/** Its name in that folder. */
export const ATTACH_DOOR = 's';

/** Where the apps of a supervisor find the next one. */
export type AttachPoint = Omit<Identity, 'token' | 'door'>;

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

/** The bootstrap opens the inspector where this variable is set, and takes it away. */
export const INSPECT_VARIABLE = 'UPKEEP_INSPECT';
