import { SHORT_HINT, shortageHint, shortageOf } from '../domain/shortage.ts';

/**
 * Every error that crosses a socket or ends a command: a code to match on, an exit code, and what to do next.
 * Match codes, never message texts.
 */
const ERROR_CODES = {
  USAGE: { exit: 2, hint: 'see `upkeep help <command>`' },
  CONFIG_INVALID: { exit: 2, hint: null },
  SCRIPT_NOT_FOUND: { exit: 2, hint: 'check the path, and its folder (--cwd, or `cwd` in a file)' },
  INTERPRETER_NOT_FOUND: { exit: 2, hint: 'install it, or name another (--interpreter, or `interpreter` in a file)' },
  NOT_CLUSTERABLE: { exit: 2, hint: null },
  APP_NOT_FOUND: { exit: 1, hint: '`upkeep list` shows what there is' },
  APP_EXISTS: { exit: 1, hint: null },
  APP_BUSY: { exit: 1, hint: 'wait for it to end, then try again' },
  LIST_EMPTY: { exit: 1, hint: '`upkeep resurrect` starts what is saved; `upkeep save --force` forgets it' },
  LOG_UNUSABLE: { exit: 1, hint: null },
  SIGNAL_UNKNOWN: { exit: 2, hint: '`kill -l` lists the signals' },
  INIT_UNKNOWN: { exit: 2, hint: 'name one: systemd, systemd-user, launchd, launchd-user, openrc' },
  INIT_FAILED: { exit: 1, hint: null },
  HOME_UNUSABLE: { exit: 1, hint: 'name another folder in UPKEEP_HOME' },
  PEER_SILENT: { exit: 1, hint: null },
  STATE_UNSAVED: { exit: 1, hint: null },
  DAEMON_UNREACHABLE: { exit: 1, hint: 'the apps go on; daemon.log in the home may tell why' },
  DAEMON_FULL: { exit: 1, hint: null },
  SUPERVISOR_LOST: { exit: 1, hint: 'the daemon starts another one; try again' },
  TOO_LARGE: { exit: 1, hint: 'nothing of it was done' },
  PROTOCOL_MALFORMED: { exit: 1, hint: 'one JSON object a line, see docs/protocol.md' },
  PROTOCOL_VERSION: { exit: 1, hint: '`upkeep update` replaces what is of another version; the apps go on' },
  METHOD_UNKNOWN: { exit: 1, hint: 'the daemon may be older than this command' },
  MACHINE_SHORT: { exit: 1, hint: SHORT_HINT },
  INTERNAL: { exit: 70, hint: 'this is a bug in upkeep: please report it with daemon.log' },
} as const satisfies Record<string, { exit: number; hint: string | null }>;

export type ErrorCode = keyof typeof ERROR_CODES;

/** The error as it crosses a socket. */
export interface WireError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint: string | null;
  /** The last lines of stderr, where an app failed. */
  readonly stderr?: readonly string[];
}

export interface ErrorDetails extends ErrorOptions {
  readonly hint?: string | null;
  readonly stderr?: readonly string[];
}

export class UpkeepError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | null;
  readonly stderr: readonly string[];

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details);
    this.name = 'UpkeepError';
    this.code = code;
    this.hint = details.hint === undefined ? ERROR_CODES[code].hint : details.hint;
    this.stderr = details.stderr ?? [];
  }

  get exitCode(): number {
    return ERROR_CODES[this.code].exit;
  }

  toWire(): WireError {
    const { code, message, hint, stderr } = this;
    return { code, message, hint, stderr };
  }

  /** Revives what `toWire` made, and anything else; an unknown code, from a newer peer, becomes INTERNAL. */
  static fromWire(wire: unknown): UpkeepError {
    const { code, message, hint, stderr } = Object(wire) as Readonly<Record<keyof WireError, unknown>>;
    return new UpkeepError(
      typeof code === 'string' && Object.hasOwn(ERROR_CODES, code) ? (code as ErrorCode) : 'INTERNAL',
      typeof message === 'string' ? message : 'no message',
      {
        hint: typeof hint === 'string' ? hint : null,
        stderr: Array.isArray(stderr) ? stderr.filter((line) => typeof line === 'string') : [],
      },
    );
  }

  /** The error itself; any other thrown value tells what the machine is short of, or is an INTERNAL one. */
  static from(thrown: unknown): UpkeepError {
    if (thrown instanceof UpkeepError) return thrown;
    const shortage = shortageOf(thrown);
    if (shortage !== null) {
      const hint = shortageHint(shortage);
      return new UpkeepError('MACHINE_SHORT', `${shortage}: ${(thrown as Error).message}`, { cause: thrown, hint });
    }
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    return new UpkeepError('INTERNAL', message, { cause: thrown });
  }
}
