import type { AppSpec } from '../domain/app-spec.ts';
import type { EmptiedLogs, Listing, LogPath } from '../protocol/messages.ts';
import type { Peer, PeerHandlers } from '../protocol/peer.ts';

/** All that the daemon knows of the operating system, besides its own files and socket. */
export interface DaemonPorts {
  /** Keys of the supervisors that have left a socket, or apps, in the home, dead or alive. */
  readonly supervisorKeys: () => readonly string[];
  /** Whether a supervisor has left what another one can go on with. */
  readonly hasLeft: (key: string) => boolean;
  /** @throws Error when nobody listens. */
  readonly connect: (key: string, handlers: PeerHandlers) => Promise<Peer>;
  /** Starts a supervisor process; resolves when it listens. @param exec the Node.js that runs it. */
  readonly startSupervisor: (key: string, exec: string) => Promise<void>;
  /** How a supervisor is to bring the daemon back. */
  readonly daemonCommand: readonly string[];
  /** Keeps the file that `list` reads. */
  readonly writeStatus: (listing: Listing) => void;
  /** Where a path leads, all symbolic links resolved; null where it leads nowhere. */
  readonly resolveLinks: (path: string) => string | null;
  /** What a symbolic link says; null for what is none. */
  readonly readLink: (path: string) => string | null;
  readonly isExecutable: (path: string) => boolean;
  /** Empties logs, and removes what was set aside of them. */
  readonly emptyLogs: (logs: readonly LogPath[]) => EmptiedLogs;
  /** Removes the oldest logs until those of all apps, also of apps that are gone, are within their limit. */
  readonly trimLogs: (apps: readonly AppSpec[]) => Promise<void>;
  readonly log: (line: string) => void;
  /** Milliseconds since the epoch, by the wall clock, which may be set at any time. */
  readonly now: () => number;
  /** Milliseconds of a clock that nobody sets. */
  readonly elapsed: () => number;
  /** What to add to a time of that clock to have it by the wall clock as it stands at present. */
  readonly epoch: () => number;
}
