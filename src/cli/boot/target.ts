/** For whom, and with what, upkeep is to be started at boot. */
export interface BootTarget {
  /** The name of the service, without the suffix that an init system may add. */
  readonly service: string;
  readonly user: string;
  readonly uid: number;
  readonly userHome: string;
  readonly shell: string;
  /** UPKEEP_HOME. */
  readonly home: string;
  /** Paths of Node.js, the one that lasts longest first. */
  readonly nodes: readonly string[];
  /** The path of upkeep.cjs. */
  readonly program: string;
  /** Whether to wait for the network to be configured. */
  readonly waitIp: boolean;
}

/** What is done, in order. */
export type BootStep =
  | { readonly kind: 'write'; readonly path: string; readonly text: string; readonly mode?: number }
  | { readonly kind: 'remove'; readonly path: string }
  | {
      readonly kind: 'run';
      readonly command: readonly string[];
      /** A command whose success says that it is done already. */
      readonly unless?: readonly string[];
      /** What is to be told where it may not be done: what is missing then, and what root does about it. */
      readonly otherwise?: { readonly missing: string; readonly command: readonly string[] };
    };

export interface BootPlan {
  readonly init: InitSystem;
  readonly service: string;
  readonly needsRoot: boolean;
  /** The file that would start the same upkeep from the other manager, the system's or the user's. */
  readonly rival: string | null;
  /** What is to be known once it is set up. */
  readonly remark: string | null;
  readonly startup: readonly BootStep[];
  readonly unstartup: readonly BootStep[];
}

/** `systemd-user` is the manager of one user's services, which needs no root. */
export type InitSystem = (typeof INIT_SYSTEMS)[number];

export const INIT_SYSTEMS = ['systemd', 'systemd-user', 'launchd', 'launchd-user', 'openrc'] as const;

/** Where launchers are that root has written: what a user could change, root must not write, nor a unit of the system run. */
export const LAUNCHERS = '/etc/upkeep';

/** Marks files that may be overwritten and removed. */
export const WRITTEN_BY = 'Written by `upkeep startup`; `upkeep unstartup` removes it.';
