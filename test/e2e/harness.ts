import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import type { AppView, InstanceView } from '../../src/protocol/messages.ts';
import { freePort } from './ports.ts';
import { commandLine, isAlive, processesWith, type Seen, seenNow, stillRuns } from './processes.ts';
import { until } from './until.ts';

/** The Node.js that runs the command line, the daemon and the apps. */
export const NODE: string = process.env['UPKEEP_TEST_NODE'] ?? process.execPath;
const CLI = join(process.cwd(), 'dist', 'upkeep.cjs');
const COMMAND_LIMIT_MS = 60_000;

/** The path of a fixture. Tests run as bundles, so it is found from the root of the repository. */
export function fixture(name: string): string {
  return join(process.cwd(), 'test', 'fixtures', name);
}

/** What the tested Node.js is: `[22, 18]`. */
export const NODE_VERSION: readonly [number, number] = (() => {
  const [major = 0, minor = 0] = execFileSync(NODE, ['-p', 'process.versions.node'], { encoding: 'utf8' })
    .split('.')
    .map(Number);
  return [major, minor];
})();

export interface Result {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
  /** The path of another upkeep. */
  readonly command?: string;
}

/** A private upkeep: a home, a folder to work in and a free port, all of it gone with the test. */
export interface Sandbox {
  readonly home: string;
  readonly cwd: string;
  /** Free, and in the environment of every command, and so of every app, as PORT. */
  readonly port: number;
  /** The environment of commands; a test may add to it. */
  readonly env: Record<string, string>;
  readonly run: (args: readonly string[], options?: RunOptions) => Promise<Result>;
  readonly upkeep: (...args: string[]) => Promise<Result>;
  /** Runs a command that must succeed. */
  readonly ok: (...args: string[]) => Promise<Result>;
  /** Runs a command that must fail. */
  readonly fails: (...args: string[]) => Promise<Result>;
  readonly rows: () => Promise<readonly InstanceView[]>;
  /** The rows of one app, in the order of their ids. */
  readonly app: (name: string) => Promise<readonly InstanceView[]>;
  readonly describe: (target: string) => Promise<AppView>;
  readonly daemonPid: () => Promise<number>;
  /** Pids of the supervisors of this home. */
  readonly supervisors: () => number[];
  /** Writes a file below cwd. @returns its path. */
  readonly write: (name: string, text: string) => string;
  /** What is in a log file of the home by now; '' where there is none. */
  readonly log: (file: string) => string;
  /** Waits until a log file of the home holds a text. @returns all of it. */
  readonly logged: (file: string, text: string | RegExp) => Promise<string>;
}

export interface SandboxOptions {
  /** A command line that runs all of its commands, such as that of another user; see nobody.ts. */
  readonly through?: readonly string[];
  /** Whom its folders belong to. */
  readonly owner?: number;
  /** Other users may enter its folders, the home excepted. */
  readonly open?: boolean;
}

/** Makes a sandbox that ends with the test: everything is stopped, and whatever is left fails the test. */
export async function sandbox(t: TestContext, options: SandboxOptions = {}): Promise<Sandbox> {
  const { through = [], owner, open = false } = options;
  const root = mkdtempSync(join(tmpdir(), 'uk-'));
  const home = join(root, 'h');
  const cwd = join(root, 'w');
  mkdirSync(cwd);
  for (const folder of [root, cwd]) {
    if (owner !== undefined) chownSync(folder, owner, owner);
    if (open) chmodSync(folder, 0o755);
  }
  const port = await freePort();
  const env: Record<string, string> = {
    PATH: `${dirname(NODE)}${delimiter}${process.env['PATH'] ?? ''}`,
    HOME: process.env['HOME'] ?? root,
    UPKEEP_HOME: home,
    PORT: String(port),
    NO_COLOR: '1',
    // Marks all processes of this sandbox, so that none is overlooked at the end.
    SANDBOX: root,
  };
  const seen = new Map<number, Seen>();
  const note = (pid: number | null): void => {
    if (pid !== null && !seen.has(pid)) seen.set(pid, seenNow(pid));
  };

  const run = (args: readonly string[], options: RunOptions = {}): Promise<Result> =>
    runCommand([...through, NODE, options.command ?? CLI, ...args], {
      cwd,
      ...options,
      env: { ...env, ...options.env },
    });
  const ok = async (...args: string[]): Promise<Result> => {
    const result = await run(args);
    assert.equal(result.code, 0, describeResult(args, result));
    return result;
  };
  const fails = async (...args: string[]): Promise<Result> => {
    const result = await run(args);
    assert.ok(result.code !== 0 && result.code !== null, describeResult(args, result));
    assert.doesNotMatch(result.stderr, /\n\s+at .*\(.*:\d+:\d+\)\n.*dist\/upkeep/s, 'no stack trace of upkeep itself');
    return result;
  };
  const rows = async (): Promise<readonly InstanceView[]> => {
    const views = JSON.parse((await ok('list', '--json')).stdout) as readonly InstanceView[];
    for (const { pid, draining, successor } of views)
      for (const each of [pid, successor?.pid ?? null, ...draining]) note(each);
    return views;
  };
  const log = (file: string): string => {
    try {
      return readFileSync(join(home, 'logs', file), 'utf8');
    } catch {
      return '';
    }
  };
  const box: Sandbox = {
    home,
    cwd,
    port,
    env,
    run,
    upkeep: (...args) => run(args),
    ok,
    fails,
    rows,
    app: async (name) => (await rows()).filter((row) => row.name === name),
    describe: async (target) => {
      const [view] = JSON.parse((await ok('describe', target, '--json')).stdout) as readonly AppView[];
      assert.ok(view);
      return view;
    },
    daemonPid: async () => {
      const pid = Number((await ok('pid')).stdout);
      note(pid);
      return pid;
    },
    supervisors: () => processesWith(home).filter((pid) => commandLine(pid).startsWith('upkeep supervisor ')),
    write: (name, text) => {
      const path = join(cwd, name);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, text);
      return path;
    },
    log,
    logged: async (file, text) => {
      const holds = () => (typeof text === 'string' ? log(file).includes(text) : text.test(log(file)));
      await until(holds, `${text} in ${file}`, () => `it holds:\n${log(file)}`);
      return log(file);
    },
  };
  t.after(() => endSandbox(root, box, seen));
  return box;
}

async function endSandbox(root: string, box: Sandbox, seen: ReadonlyMap<number, Seen>): Promise<void> {
  const killed = await box.upkeep('kill').catch((error: Error) => ({ code: null, stdout: '', stderr: error.message }));
  const left = (): number[] => [
    ...new Set([
      ...processesWith(root).filter(isAlive),
      ...[...seen.values()].filter(stillRuns).map((process) => process.pid),
    ]),
  ];
  const deadline = Date.now() + 5000;
  while (left().length > 0 && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 20));
  const leftovers = left().map((pid) => ({ pid, command: commandLine(pid) }));
  for (const { pid } of leftovers) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It ended by itself meanwhile.
    }
  }
  rmSync(root, { recursive: true, force: true, maxRetries: 5 });
  assert.equal(killed.code, 0, describeResult(['kill'], killed));
  assert.deepEqual(leftovers, [], 'processes were left after `upkeep kill`');
}

function runCommand([program = '', ...args]: readonly string[], { cwd, env, stdin }: RunOptions): Promise<Result> {
  return new Promise((resolve, reject) => {
    const options = {
      cwd,
      env,
      timeout: COMMAND_LIMIT_MS,
      killSignal: 'SIGKILL',
      maxBuffer: 64 * 1024 * 1024,
    } as const;
    const child = execFile(program, args, options, (error, stdout, stderr) => {
      const result = { code: child.exitCode, stdout, stderr };
      if (error?.killed) reject(new Error(`no end after ${COMMAND_LIMIT_MS} ms: ${describeResult(args, result)}`));
      else resolve(result);
    });
    child.stdin?.end(stdin ?? '');
  });
}

function describeResult(args: readonly string[], { code, stdout, stderr }: Result): string {
  return `upkeep ${args.join(' ')} -> ${code}\n${stdout}${stderr}`;
}
