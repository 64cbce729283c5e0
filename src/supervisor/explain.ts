import { shortageHint } from '../domain/shortage.ts';
import type { AppError } from '../protocol/ipc.ts';
import type { Outcome } from '../protocol/messages.ts';
import type { ManagedInstance } from './managed-instance.ts';
import type { Ports } from './ports.ts';

type Explanation = Pick<Outcome, 'reason' | 'hint' | 'stderr' | 'again'>;

/** A trial is ended when it fails; what has taken the place of another is tried again, and the others serve on. */
export type Role = 'app' | 'trial' | 'replacement';

/** Why an instance did not get ready, and what to do about it, as far as its last run shows. */
export function explainFailure(
  managed: ManagedInstance,
  ports: Pick<Ports, 'portOwner'>,
  role: Role = 'app',
): Explanation {
  const explained = explain(managed, ports);
  const { state } = managed.instance;
  const isTried =
    state.kind === 'errored'
      ? typeof state.nextTryAt === 'number'
      : state.kind === 'starting' || state.kind === 'backoff';
  if (role === 'trial' || !isTried) return explained;
  const unless = role === 'app' ? `, unless you \`upkeep delete ${managed.spec.name}\`` : '';
  return { ...explained, again: `it is tried again${unless}` };
}

function explain(managed: ManagedInstance, ports: Pick<Ports, 'portOwner'>): Explanation {
  const { lastExit, state } = managed.instance;
  const { stderr, uncaught } = managed.lastWords;
  const reason = ('reason' in state ? state.reason : lastExit?.reason) ?? 'did not get ready';
  const shortage = shortageHint(reason);
  if (shortage !== null) return { reason: `it cannot be started: ${reason}`, hint: shortage, stderr };
  const text = stderr.join('\n');
  const explained =
    explainPort(managed, uncaught, ports) ??
    explainText(managed, uncaught, text) ??
    explainUser(managed.spec.uid, text);
  if (explained) return { ...explained, reason: `${explained.reason} (${reason})`, stderr };

  // One that was told to end, as it did not get ready, may end well.
  const endedByItself = lastExit !== null && lastExit.reason.startsWith('exited');
  if (lastExit?.leftOthers && endedByItself) {
    const told = 'it put itself into the background (daemonized), where it cannot be kept running';
    const hint = 'let it run in the foreground: without --daemon, -d, `&` or what else it has for that';
    return { reason: `${told} (${reason})`, hint, stderr };
  }
  if (lastExit?.code === 0 && state.kind !== 'online' && endedByItself) {
    const hint = 'a job that is meant to end needs --no-autorestart (or stop_exit_codes: [0])';
    return { reason: `it ended at once, with code 0: nothing keeps it running (${reason})`, hint, stderr };
  }
  if (reason.startsWith('cannot write the log file')) {
    const remedy = reason.endsWith('it is a folder') ? 'move it away' : 'make it writable';
    return { reason, hint: `${remedy}, or name other files with --output and --error`, stderr };
  }
  if (/(^|: )cannot start/.test(reason)) return { reason, hint: 'check the path and its permissions', stderr };
  if (/wait_ready/.test(reason)) {
    const hint = "call process.send('ready') when it can serve, or raise --listen-timeout";
    return { reason, hint, stderr };
  }
  return { reason, hint: `\`upkeep logs ${managed.spec.name}\` shows all it wrote`, stderr };
}

const IN_USE = 'stop what uses it, or let the app listen elsewhere';

/** Whose port it is that an instance in fork mode wants: mostly that of another instance, which is not to be stopped. */
function shareHint({ spec, siblings }: ManagedInstance): string | null {
  // One that has not failed so far has what this one wanted, or is about to serve there.
  const served = siblings().some(
    ({ instance: { state, lastExit } }) => state.kind === 'online' || (state.kind === 'starting' && lastExit === null),
  );
  if (spec.mode !== 'fork' || !served) return null;
  const own = '--increment-var PORT gives each a PORT of its own';
  const share = 'instances in fork mode share no port';
  if (spec.program.runtime !== 'node') return `${share}: ${own}`;
  return `${share}: delete it and start it with -i ${siblings().length + 1}, as a cluster; or ${own}`;
}

function explainPort(
  managed: ManagedInstance,
  error: AppError | null,
  ports: Pick<Ports, 'portOwner'>,
): Omit<Explanation, 'stderr'> | null {
  if (error?.syscall !== 'listen' && error?.syscall !== 'bind') return null;
  const where = error.port === null || error.port < 0 ? (error.address ?? 'its address') : `port ${error.port}`;
  if (error.code === 'EADDRINUSE') {
    const sibling = managed.siblings().find(({ listens }) => listens.some((at) => at.endsWith(`:${error.port}`)));
    if (sibling) {
      return {
        reason: `${where} is in use by instance ${sibling.slot.id} of this app`,
        hint: shareHint(managed) ?? IN_USE,
      };
    }
    const owner = error.port === null ? null : ports.portOwner(error.port);
    return { reason: `${where} is in use${owner ? ` by ${owner}` : ''}`, hint: IN_USE };
  }
  if (error.code === 'EACCES') {
    const hint =
      'ports below 1024 need root: take a higher one, or start as root and call process.setuid() once it listens';
    return { reason: `no permission to listen on ${where}`, hint };
  }
  return null;
}

function explainText(
  managed: ManagedInstance,
  uncaught: AppError | null,
  stderr: string,
): Omit<Explanation, 'stderr'> | null {
  if (uncaught === null && /EADDRINUSE|address already in use/i.test(stderr)) {
    return { reason: 'its port is in use', hint: shareHint(managed) ?? IN_USE };
  }
  if (/ERR_UNKNOWN_FILE_EXTENSION.*\.(ts|mts|cts)|Unknown file extension "\.[mc]?ts"/s.test(stderr)) {
    const hint = 'use Node.js 22.18 or later, or a loader such as --node-args "--import tsx"';
    return { reason: 'its Node.js does not run TypeScript', hint };
  }
  return null;
}

function explainUser(uid: number | null, stderr: string): Omit<Explanation, 'stderr'> | null {
  if (uid === null || !/Cannot find module|EACCES|permission denied/i.test(stderr)) return null;
  const hint = 'its files, the folders above them and the interpreter must be open to that user';
  return { reason: `user ${uid} may not read, or run, what it needs`, hint };
}
