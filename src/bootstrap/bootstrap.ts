/**
 * Loaded by `--require` into the user's Node.js process, before its main module. It tells the supervisor how far the
 * app has come, and finishes the app's work when asked to shut down. It is small on purpose: every instance pays for
 * it in memory and start-up time, so modules are required where they are needed.
 *
 * It also loads in worker threads, where there is no `process.send`, no pipe and nothing to do.
 */
import type { Socket } from 'node:net';
import {
  type AppError,
  type FromApp,
  IMPORTS_EVENT,
  IMPORTS_URL,
  IPC_CMD,
  type IpcEnvelope,
  type ToApp,
} from '../protocol/ipc.ts';
import { watchAnswers } from './answers.ts';
import { Connections } from './connections.ts';
import { Drain } from './drain.ts';
import { bidFarewell } from './farewell.ts';
import { openInspector } from './inspector.ts';
import { keepLastWords } from './last-words.ts';
import { Listens } from './listens.ts';
import * as own from './own.ts';
import { watchStart } from './settle.ts';
import { shareSockets } from './sockets.ts';
import { survive } from './survive.ts';

/** Of what must be said to the next supervisor; an app says little. */
const MOST_UNSAID = 100;

const TOLD_LATER: ReadonlySet<FromApp['kind']> = new Set([
  'listening',
  'closed',
  'main-ran',
  'only-streams',
  'drained',
  'want-signal',
]);

/** A signal that was sent before the word has been handled by then. */
const SIGNALLED_MS = 100;

keepLastWords();
if (own.send) install(own.send);

function install(sendNow: NonNullable<typeof own.send>): void {
  const diagnostics = require('node:diagnostics_channel') as typeof import('node:diagnostics_channel');
  // In a cluster worker, Node itself already listens for messages.
  const listenersAtStart = own.countListeners('message');
  const isWorker = own.countListeners('internalMessage') > 1;
  const whenSettled = watchStart();
  const connections = new Connections();
  let mainEvaluated = false;
  let mainReported = false;
  let settled = false;
  let asked: Extract<ToApp, { kind: 'shutdown' }> | null = null;
  let drain: Drain | null = null;
  let draining = false;
  /** Its supervisor is not the one that started it. */
  let adopted = false;
  /** Not told yet, as there was no supervisor. */
  const unsaid: FromApp[] = [];

  const send = (body: FromApp, handle?: unknown, sent: () => void = () => {}): void => {
    // A channel that just closed is no concern of the app: the callback takes the error.
    if (process.connected) sendNow({ cmd: IPC_CMD, body }, handle, undefined, sent);
    else {
      if (survival.isAway() && !handle && TOLD_LATER.has(body.kind) && unsaid.length < MOST_UNSAID) unsaid.push(body);
      sent();
    }
  };
  const survival = survive({
    lost: () => {
      sockets?.alone();
      // What the supervisor had sent has been read by now: nothing follows.
      beginDrain();
    },
    attached: ({ token }) => {
      adopted = true;
      send({ kind: 'attach', token });
      if (isWorker) sockets?.announce();
      for (const told of listens.told) send({ kind: 'listening', ...told });
      if (mainReported) send({ kind: 'main-ran' });
      if (settled) send({ kind: 'settled' });
      for (const body of unsaid.splice(0)) send(body);
    },
  });
  own.on('exit', (code) => {
    if (adopted) send({ kind: 'exiting', code });
  });
  const sockets = isWorker ? shareSockets(send) : null;
  const closeInspector = openInspector();
  const reportMain = (): void => {
    if (!mainEvaluated || mainReported || listens.pending) return;
    mainReported = true;
    send({ kind: 'main-ran' });
    whenSettled(() => {
      settled = true;
      send({ kind: 'settled' });
    });
  };
  const listens = new Listens({
    opened: (server) => isWorker && connections.addServer(server),
    listening: (told) => send({ kind: 'listening', ...told }),
    closed: (address) => send({ kind: 'closed', address }),
    failed: (error) => send({ kind: 'uncaught', error: appError(error) }),
    quiet: reportMain,
  });
  afterMainModule(() => {
    mainEvaluated = true;
    reportMain();
  });
  own.on('uncaughtExceptionMonitor', (error: unknown) => send({ kind: 'uncaught', error: appError(error) }));
  if (isWorker) {
    diagnostics.subscribe('net.server.socket', (message) => connections.add((message as { socket: Socket }).socket));
  }
  const onMessage = (message: Partial<IpcEnvelope<ToApp>> | null, handle: unknown): void => {
    if (message?.cmd !== IPC_CMD || !message.body) return;
    const { body } = message;
    switch (body.kind) {
      case 'shutdown':
        return shutDown(body);
      case 'identity':
        return survival.know(body);
      case 'nothing-follows':
        return beginDrain();
      case 'end-drain':
        return drain?.end();
      case 'ping':
        return send({ kind: 'pong' });
      case 'watch-answers':
        return watchAnswers(body.ms, (status) => send({ kind: 'answered', status }));
      case 'let-go':
        return void own.setTimeout(survival.letGo, SIGNALLED_MS);
      case 'socket':
      case 'accept':
      case 'also-socket':
      case 'hold':
      case 'ticket-keys':
      case 'mean':
      case 'passed':
      case 'kept':
      case 'offer':
      case 'take':
      case 'ask-after':
        return sockets?.handle(body, handle);
    }
  };
  own.on('internalMessage' as 'message', onMessage as NodeJS.MessageListener);

  function shutDown(order: Extract<ToApp, { kind: 'shutdown' }>): void {
    if (asked) return;
    asked = order;
    closeInspector();
    if (!order.drain || !sockets) return letAppFinish(order);
    sockets.stopListening();
    drain = new Drain(connections, order.drain, hasSay(), sockets, {
      onlyStreams: () => send({ kind: 'only-streams' }),
      done: () => letAppFinish(order),
    });
    // A connection may be on its way to this process: an app that exits now would leave it hanging.
    send({ kind: 'stopped-listening' });
  }

  function beginDrain(): void {
    if (draining || !drain) return;
    draining = true;
    drain.begin();
  }

  function hasSay(): boolean {
    return takesMessages() || own.countListeners(asked?.signal ?? '') > 0;
  }

  function takesMessages(): boolean {
    if (own.countListeners('message') > listenersAtStart) return true;
    if (!isWorker) return false;
    const cluster = require('node:cluster') as typeof import('node:cluster').default;
    return (cluster.worker?.listenerCount('message') ?? 0) > 0;
  }

  /** An app that takes messages or handles the signal has its say; any other worker has nothing left to do. */
  function letAppFinish({ signal, drain: order, messageMs = 0 }: Extract<ToApp, { kind: 'shutdown' }>): void {
    send({ kind: 'drained' });
    if (order && !hasSay()) return own.exit(0);
    bidFarewell({
      signal,
      messageMs,
      takesMessages: takesMessages(),
      wantSignal: () => send({ kind: 'want-signal' }),
      letGo: survival.letGo,
    });
  }
}

function afterMainModule(done: () => void): void {
  const check = (): void => {
    // A CommonJS main module runs to its end, or throws, before the event loop turns for the first time.
    if (process.mainModule || own.main === undefined) return done();
    // An ES module may take many turns. To import it again is to wait for the one evaluation that is under way.
    const { pathToFileURL } = require('node:url') as typeof import('node:url');
    const { realpathSync } = require('node:fs') as typeof import('node:fs');
    // Where it fails, Node reports that and ends the process, unless the app handles it.
    const ended = (): void => void own.setImmediate(done);
    try {
      import(pathToFileURL(realpathSync(own.main)).href).then(ended, ended);
    } catch {
      done();
    }
  };
  hideArgument('--require', __filename);
  if (hideArgument('--import', IMPORTS_URL)) own.once(IMPORTS_EVENT as 'message', () => void own.setImmediate(check));
  else own.setImmediate(check);
}

/** Takes an option of ours out of `process.execArgv`, which the app's own children inherit. */
function hideArgument(option: string, value: string): boolean {
  const { execArgv } = process;
  const at = execArgv.findIndex((arg, index) => arg === option && execArgv[index + 1] === value);
  if (at !== -1) execArgv.splice(at, 2);
  return at !== -1;
}

function appError(error: unknown): AppError {
  const { message, code, syscall, address, port } = (error ?? {}) as Partial<NodeJS.ErrnoException & AppError>;
  return {
    message: String(message ?? error).slice(0, 1000),
    code: code ?? null,
    syscall: syscall ?? null,
    address: address ?? null,
    port: port ?? null,
  };
}
