import type { ChildProcess } from 'node:child_process';
import { closeSync, existsSync, openSync, statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AppSpec } from '../domain/app-spec.ts';
import { away, shortageHint, shortageOf } from '../domain/shortage.ts';
import { UpkeepError } from '../protocol/errors.ts';
import { MAX_ANSWER_BYTES } from '../protocol/framing.ts';
import { type Home, makeHome } from '../protocol/home.ts';
import { readLock } from '../protocol/lock-file.ts';
import {
  type ApplyParams,
  type DaemonMethods,
  type Hello,
  type Outcome,
  PROTOCOL_VERSION,
} from '../protocol/messages.ts';
import type { Peer } from '../protocol/peer.ts';
import { pieces } from '../protocol/pieces.ts';
import { SMALL_HEAP } from '../protocol/small-heap.ts';
import { connectPeer } from './connect.ts';

/** Questions are answered within this time, or the daemon hangs. */
const QUESTION_MS = 10_000;
const HELLO_MS = 5000;
const START_MS = 15_000;
const PASSES_MS = 5000;
/** Between two tries to start a daemon. */
const FIRST_WAIT_MS = 50;
const LONGEST_WAIT_MS = 1000;
const OPERATIONS: ReadonlySet<keyof DaemonMethods> = new Set([
  'apply',
  'operate',
  'rollback',
  'scale',
  'leave',
  'updateSupervisors',
  'kill',
  'resurrect',
]);

const NOBODY_THERE: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR', 'ECONNREFUSED', 'ECONNRESET']);

/** Typed calls to a daemon. */
export class Client {
  readonly #peer: Peer;
  readonly daemon: Hello;
  /** Resolves when the daemon has ended the connection. */
  readonly ended: Promise<void>;

  constructor(peer: Peer, daemon: Hello, ended: Promise<void>) {
    this.#peer = peer;
    this.daemon = daemon;
    this.ended = ended;
  }

  /** @throws UpkeepError what the daemon answered. Operations have deadlines of their own, in the supervisors. */
  async call<M extends keyof DaemonMethods>(
    method: M,
    params: DaemonMethods[M]['params'],
  ): Promise<DaemonMethods[M]['result']> {
    const timeoutMs = OPERATIONS.has(method) ? 0 : QUESTION_MS;
    try {
      return (await this.#peer.request(method, params, timeoutMs)) as DaemonMethods[M]['result'];
    } catch (error) {
      if (!(error instanceof UpkeepError) || error.code !== 'PEER_SILENT') throw error;
      throw silent(this.daemon.pid, error.message);
    }
  }

  /** However many there are, and whatever their environments. */
  async apply({ specs, ...params }: ApplyParams): Promise<readonly Outcome[]> {
    let last: readonly AppSpec[] = [];
    for (const piece of pieces(specs)) {
      if (last.length > 0) await this.call('stage', { specs: last });
      last = piece;
    }
    return this.call('apply', { ...params, specs: last });
  }

  get closed(): boolean {
    return this.#peer.closed;
  }

  close(): void {
    this.#peer.destroy();
  }
}

function whyKeptOut({ root, run }: Home): string {
  const isOwn = statSync(root, { throwIfNoEntry: false })?.uid === process.geteuid?.();
  if (isOwn) return `its owner may not enter it, by its mode: \`chmod 700 ${root} ${run}\``;
  return "this home is another user's: name your own in UPKEEP_HOME";
}

/**
 * @param anyProtocol a daemon of another protocol will do, for the few words that all of them know.
 * @returns null when no daemon runs.
 */
export async function connectRunning(home: Home, anyProtocol = false): Promise<Client | null> {
  let onHello: (hello: Hello) => void = () => {};
  let onClose: () => void = () => {};
  const ended = new Promise<void>((resolve) => {
    onClose = resolve;
  });
  const greeted = new Promise<Hello | null>((resolve) => {
    onHello = resolve;
    void ended.then(() => resolve(null));
  });
  let peer: Peer;
  try {
    peer = await connectPeer(home.daemonSocket, { onHello, onClose, maxFrameBytes: MAX_ANSWER_BYTES });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // ENOTDIR: the home cannot be one, which making it will tell.
    if (code !== undefined && NOBODY_THERE.has(code)) return null;
    throw new UpkeepError('DAEMON_UNREACHABLE', `cannot connect to ${home.daemonSocket}: ${code}`, {
      cause: error,
      ...(code === 'EACCES' ? { hint: whyKeptOut(home) } : {}),
    });
  }
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(resolve, HELLO_MS, 'late');
  });
  const hello = await Promise.race([greeted, late]);
  clearTimeout(timer);
  if (hello === 'late') {
    peer.destroy();
    throw silent(lockedBy(home), `no greeting within ${HELLO_MS} ms`);
  }
  if (hello === null) {
    const pid = lockedBy(home);
    if (pid === null || !isAlive(pid)) return null;
    const message = `the daemon, process ${pid}, takes no connection: it is about to end, or has no file descriptor left`;
    throw new UpkeepError('DAEMON_FULL', message, {
      hint: `\`prlimit --nofile --pid ${pid}\` shows its limit; after \`kill -9 ${pid}\` another one comes, and the apps go on`,
    });
  }
  if (hello.protocol !== PROTOCOL_VERSION && !anyProtocol) {
    peer.destroy();
    const versions = `version ${hello.version} (protocol ${hello.protocol}); this command speaks protocol ${PROTOCOL_VERSION}`;
    const hint = '`upkeep update` replaces the daemon by one of this version; the apps go on';
    throw new UpkeepError('PROTOCOL_VERSION', `the daemon is of ${versions}`, { hint });
  }
  return new Client(peer, hello, ended);
}

/**
 * Connects to the daemon, and starts one where none runs.
 * @param daemonScript path of daemon.cjs.
 * @param role `ending` for one that is only to end what there is.
 */
export async function connectOrStart(home: Home, daemonScript: string, role: '' | 'ending' = ''): Promise<Client> {
  const begun = performance.now();
  for (let waitMs = 0; ; waitMs = Math.min(waitMs * 2 || FIRST_WAIT_MS, LONGEST_WAIT_MS)) {
    const passedMs = performance.now() - begun;
    try {
      const client = await connectRunning(home);
      if (client) return client;
      await startDaemon(home, daemonScript, role);
    } catch (error) {
      if (!mayPass(error) || passedMs > PASSES_MS) throw error;
    }
    if (passedMs > START_MS) {
      throw new UpkeepError('DAEMON_UNREACHABLE', `no daemon came up within ${START_MS} ms; see ${home.daemonLog}`);
    }
    await sleep(waitMs);
  }
}

/** Whether it may be over in a moment: the daemon is ending, or what is short is given back. */
function mayPass(error: unknown): boolean {
  return (error instanceof UpkeepError && error.code === 'DAEMON_FULL') || shortageOf(error) !== null;
}

/** Resolves when it listens, or has ended: of several that start at once, one stays. */
async function startDaemon(home: Home, daemonScript: string, role: string): Promise<void> {
  makeHome(home);
  if (!existsSync(daemonScript)) throw notStarted(away(daemonScript));
  // Loaded only here: most commands find a daemon.
  const { spawn } = process.getBuiltinModule('node:child_process');
  const log = openLog(home);
  let child: ChildProcess;
  try {
    child = spawn(process.execPath, [...SMALL_HEAP, daemonScript, home.root, role], {
      detached: true,
      cwd: '/',
      env: {},
      stdio: ['ignore', 'ignore', log, 'ipc'],
    });
  } catch (cause) {
    throw notStarted(cause as Error);
  } finally {
    closeSync(log);
  }
  child.unref();
  await new Promise<void>((resolve, reject) => {
    child.once('error', (cause) => reject(notStarted(cause)));
    // Its last words: on a full disk its log may not have them.
    child.once('message', (problem) => reject(notStarted(new Error(problem as string))));
    child.once('disconnect', () => setTimeout(resolve, child.exitCode === null ? 0 : 50));
  });
}

function openLog({ daemonLog }: Home): number {
  try {
    return openSync(daemonLog, 'a', 0o600);
  } catch (cause) {
    throw notStarted(cause as Error);
  }
}

function notStarted(cause: Error): UpkeepError {
  const shortage = shortageOf(cause);
  const message = `cannot start a daemon: ${shortage ?? cause.message}`;
  return new UpkeepError('DAEMON_UNREACHABLE', message, {
    cause,
    ...(shortage === null ? {} : { hint: shortageHint(shortage) }),
  });
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

function silent(pid: number | null, why: string): UpkeepError {
  const who = pid === null ? 'the daemon' : `the daemon, process ${pid},`;
  const it = pid ?? 'PID';
  const hint = `if it was stopped, \`kill -CONT ${it}\`; else \`kill -9 ${it}\`: the apps go on, and it comes back by itself`;
  return new UpkeepError('DAEMON_UNREACHABLE', `${who} does not answer: ${why}`, { hint });
}

/** Whom to name: the process that holds the daemon's lock, or held it. */
function lockedBy(home: Home): number | null {
  try {
    return readLock(home.daemonLock).pid;
  } catch {
    return null;
  }
}
