import { join } from 'node:path';
import type { Context } from '../cli/command.ts';
import { isTerminal } from '../cli/is-terminal.ts';
import { forTerminal } from '../cli/render/plain.ts';
import { Session } from '../client/session.ts';
import { systemClock } from '../platform/clock.ts';
import { UpkeepError } from '../protocol/errors.ts';
import { type Home, resolveHome } from '../protocol/home.ts';
import { closeHome } from '../protocol/own-home.ts';
import { readStatus } from '../protocol/status-file.ts';
import { VERSION } from '../protocol/version.ts';
import { writeOut } from './write-out.ts';

/** More than any ecosystem needs. */
const MAX_STDIN_BYTES = 16 * 1024 * 1024;

/** Given by upkeep.cjs. */
declare const importModule: (specifier: string) => Promise<unknown>;

/** Runs the command line of this process. */
export async function main(run: (argv: readonly string[], context: Context) => Promise<number>): Promise<void> {
  const given = process.argv.slice(2);
  const dashes = given.indexOf('--');
  const argv = dashes === -1 ? given : given.slice(0, dashes);
  const silent = argv.some((arg) => arg === '-s' || arg === '--silent');
  let abort: AbortController | null = null;
  /** A command that talks to a daemon, or waits, ends of itself by Ctrl-C. Before that, the signal ends it. */
  const interruptible = (): AbortSignal => {
    if (abort !== null) return abort.signal;
    const controller = new AbortController();
    abort = controller;
    process.once('SIGINT', () => {
      process.exitCode = 130;
      controller.abort();
      // A command that does not end by the signal alone ends by the next one.
      session.close();
    });
    return controller.signal;
  };
  /** Whatever was asked: each once. */
  const told = new Set<string>();
  const tell = (problems: readonly string[] = []): void => {
    for (const problem of problems) if (!told.has(problem)) context.out.problem(`upkeep: ${problem}`);
    for (const problem of problems) told.add(problem);
  };
  const session = new Session(
    () => context.home,
    join(__dirname, 'daemon.cjs'),
    ({ version, problems }) => {
      tell(problems);
      if (version === VERSION) return;
      context.out.problem(
        `upkeep: the daemon is of version ${version}, this command of ${VERSION}: run \`upkeep update\``,
      );
    },
  );
  let home: Home | null = null;
  const ownHome = (): Home => {
    const resolved = resolveHome(process.env);
    const changed = closeHome(resolved);
    if (changed !== null) context.out.problem(`upkeep: ${changed}`);
    return resolved;
  };
  const context: Context = {
    get home(): Home {
      return (home ??= ownHome());
    },
    env: process.env,
    get cwd(): string {
      return ownFolder();
    },
    cpus: () => process.getBuiltinModule('node:os').availableParallelism(),
    execPath: process.execPath,
    program: join(__dirname, 'upkeep.cjs'),
    version: VERSION,
    rest: dashes === -1 ? [] : given.slice(dashes + 1),
    out: {
      data: (text) => writeOut(`${isTerminal(1) ? forTerminal(text) : text}\n`),
      bytes: writeOut,
      note: (text) => (silent ? undefined : writeError(`${text}\n`)),
      problem: (text) => writeError(`${text}\n`),
      status: (text) => isTerminal(2) && writeOut(`\r\x1b[K${forTerminal(text)}`, 2),
      isTerminal: isTerminal(2),
    },
    stdin: readStdin,
    importModule,
    connect: () => {
      interruptible();
      return session.connect();
    },
    connectRunning: (anyProtocol) => {
      interruptible();
      return session.connectRunning(anyProtocol);
    },
    connectToEnd: () => {
      interruptible();
      return session.connectToEnd();
    },
    readStatus: () => {
      const status = readStatus(context.home, { wall: Date.now(), elapsed: systemClock.now() });
      tell(status?.problems);
      return status?.instances ?? null;
    },
    get signal(): AbortSignal {
      return interruptible();
    },
  };
  const code = await run(argv, context);
  session.close();
  // At once: all is written, and what Node does at an end of its own takes milliseconds.
  process.exit(process.exitCode ?? code);
}

/** @throws UpkeepError where it was removed. */
function ownFolder(): string {
  try {
    return process.cwd();
  } catch (cause) {
    throw new UpkeepError('CONFIG_INVALID', 'the folder that this command was called in is not there any more', {
      hint: '`cd` to one that is',
      cause,
    });
  }
}

function writeError(text: string): void {
  writeOut(isTerminal(2) ? forTerminal(text) : text, 2);
}

async function readStdin(): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of process.stdin) {
    chunks.push(chunk as Buffer);
    size += (chunk as Buffer).length;
    if (size > MAX_STDIN_BYTES)
      throw new UpkeepError('CONFIG_INVALID', `stdin is longer than ${MAX_STDIN_BYTES} bytes`);
  }
  return Buffer.concat(chunks).toString('utf8');
}
