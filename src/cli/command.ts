import type { Client } from '../client/client.ts';
import type { Home } from '../protocol/home.ts';
import type { InstanceView } from '../protocol/messages.ts';

/** A command is data plus one function, which is loaded when the command runs. */
export interface Command {
  readonly name: string;
  readonly aliases?: readonly string[];
  /** Arguments in commander's notation, such as `<target> [more...]`. */
  readonly args?: string;
  readonly summary: string;
  readonly options?: readonly Option[];
  /** Further lines of the help. */
  readonly help?: string;
  readonly load: () => Promise<Run>;
}

/** Whether a word names a command, by any of its names. */
export function isCalled({ name, aliases = [] }: Command, word: string): boolean {
  return name === word || aliases.includes(word);
}

/** The description of a flag that the help leaves out. */
export const HIDDEN = '';

/** Flags in commander's notation, and what they are for. */
export type Option = readonly [flags: string, description: string];

export const JSON_OUTPUT: Option = ['--json', 'print JSON'];

export type Options = Readonly<Record<string, unknown>>;
/** @returns the exit code, 0 where it returns nothing. */
export type Run = (context: Context, args: readonly string[], options: Options) => Promise<number | undefined>;

/** What a command may use of the world. */
export interface Context {
  readonly home: Home;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Throws where the folder was removed: to be asked for only when something depends on it. */
  readonly cwd: string;
  readonly cpus: () => number;
  readonly execPath: string;
  /** The path of upkeep.cjs. */
  readonly program: string;
  readonly version: string;
  readonly out: Output;
  /** What stands after `--`: the arguments of the app. */
  readonly rest: readonly string[];
  readonly stdin: () => Promise<string>;
  /** Like `import()`, which the code cache rules out. */
  readonly importModule: (specifier: string) => Promise<unknown>;
  /** Connects to the daemon, starting it where none runs. One connection a command. */
  readonly connect: () => Promise<Client>;
  /** null when no daemon runs. One of another protocol knows but a few words. */
  readonly connectRunning: (anyProtocol?: boolean) => Promise<Client | null>;
  /** Where no daemon runs: to one that ends what has been left, and begins nothing; null where nothing was. */
  readonly connectToEnd: () => Promise<Client | null>;
  /** What the daemon last wrote of all instances; null where it must be asked. */
  readonly readStatus: () => readonly InstanceView[] | null;
  readonly signal: AbortSignal;
}

/** stdout is for data, stderr for talk. */
export interface Output {
  readonly data: (text: string) => void;
  /** Data as it is. Not for a terminal. */
  readonly bytes: (bytes: Buffer) => void;
  /** What went well; `--silent` drops it. */
  readonly note: (text: string) => void;
  readonly problem: (text: string) => void;
  /** A line that the next one replaces; empty to clear it. Nothing where there is no terminal. */
  readonly status: (text: string) => void;
  readonly isTerminal: boolean;
}
