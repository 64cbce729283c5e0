/**
 * Loaded by `--require` into the user's Node.js process, before its main module. It tells the supervisor how far the
 * app has come, and finishes the app's work when asked to shut down. It is small on purpose: every instance pays for
 * it in memory and start-up time, so modules are required where they are needed.
 *
 * It also loads in worker threads, where there is no `process.send` and nothing to do.
 */
import type { Server as HttpServer, ServerResponse } from 'node:http';
import type { Server } from 'node:net';
import {
  type AppError,
  type FromApp,
  IMPORTS_EVENT,
  IMPORTS_URL,
  IPC_CMD,
  type IpcEnvelope,
  type ToApp,
} from '../protocol/ipc.ts';

/** Idle keep-alive connections stay open this long after the drain began, so that clients see `Connection: close`. */
const LINGER_MS = 200;
const DRAIN_POLL_MS = 20;

if (process.send) install(process.send.bind(process) as Send);

type Send = (message: unknown, handle: undefined, options: undefined, callback: () => void) => boolean;

function install(sendToSupervisor: Send): void {
  const diagnostics = require('node:diagnostics_channel') as typeof import('node:diagnostics_channel');
  // In a cluster worker, Node itself already listens for messages.
  const listenersAtStart = process.listenerCount('message');
  const servers = new Set<Server>();
  let listensPending = 0;
  let mainEvaluated = false;
  let mainReported = false;
  let afterLastConnection: (() => void) | null = null;

  const send = (body: FromApp): void => {
    // A channel that just closed is no concern of the app: the callback takes the error.
    if (process.connected) sendToSupervisor({ cmd: IPC_CMD, body }, undefined, undefined, () => {});
  };
  const reportMain = (): void => {
    if (!mainEvaluated || mainReported || listensPending > 0) return;
    mainReported = true;
    send({ kind: 'main-ran' });
  };
  const onListen = (step: 'asyncStart' | 'asyncEnd' | 'error', handler: (server: Server) => void): void => {
    const channel = `tracing:net.server.listen:${step}`;
    diagnostics.subscribe(channel, (message) => handler((message as { server: Server }).server));
  };
  const listenSettled = (): void => {
    listensPending--;
    // Not before an error that nobody handles has ended the process.
    setImmediate(reportMain);
  };

  onListen('asyncStart', () => {
    listensPending++;
  });
  onListen('error', listenSettled);
  onListen('asyncEnd', (server) => {
    servers.add(server);
    server.once('close', () => servers.delete(server));
    send({ kind: 'listening', address: addressOf(server) });
    listenSettled();
  });
  afterMainModule(() => {
    mainEvaluated = true;
    reportMain();
  });
  process.on('uncaughtExceptionMonitor', (error: unknown) => send({ kind: 'uncaught', error: appError(error) }));
  (process as NodeJS.EventEmitter).on('internalMessage', (message: Partial<IpcEnvelope<ToApp>> | null) => {
    if (message?.cmd !== IPC_CMD) return;
    const { body } = message;
    if (body?.kind === 'nothing-follows') return afterLastConnection?.();
    if (body?.kind !== 'shutdown' || afterLastConnection) return;
    afterLastConnection = () => letAppFinish(body.signal, body.drain);
    if (!body.drain) return afterLastConnection();
    stopListening(servers);
    // The primary may have handed over a connection meanwhile: an app that exits now would leave it hanging.
    send({ kind: 'stopped-listening' });
  });

  /** An app that takes messages or handles the signal has its say; any other cluster worker ends when it is idle. */
  function letAppFinish(signal: string, drain: boolean): void {
    if (process.listenerCount('message') > listenersAtStart || clusterWorkerListens()) {
      process.emit('message', 'shutdown', undefined);
    } else if (!drain || process.listenerCount(signal) > 0) {
      send({ kind: 'want-signal' });
    } else {
      exitWhenIdle([...servers]);
    }
  }
}

function clusterWorkerListens(): boolean {
  const cluster = require('node:cluster') as typeof import('node:cluster').default;
  return (cluster.worker?.listenerCount('message') ?? 0) > 0;
}

function stopListening(servers: Iterable<Server>): void {
  const { ServerResponse } = require('node:http') as typeof import('node:http');
  const prototype = ServerResponse.prototype as ServerResponse & { _storeHeader: (...args: unknown[]) => unknown };
  const storeHeader = prototype._storeHeader;
  // From now on each answer, also to a request that is in flight, carries `Connection: close`.
  prototype._storeHeader = function (this: ServerResponse, ...args: unknown[]): unknown {
    this.shouldKeepAlive = false;
    return storeHeader.apply(this, args);
  };
  // Only the handle: the server stays as the app knows it, and the app's own server.close() still does its work.
  for (const server of servers) (server as Server & { _handle?: { close: () => void } | null })._handle?.close();
}

function exitWhenIdle(servers: readonly Server[]): void {
  let lingerUntil = Date.now() + LINGER_MS;
  let expectedAt = Date.now();
  const look = async (): Promise<void> => {
    const now = Date.now();
    // The process stood still: requests may be waiting that it has not read.
    if (now - expectedAt > LINGER_MS / 2) lingerUntil = now + LINGER_MS;
    expectedAt = now + DRAIN_POLL_MS;
    if (now > lingerUntil) {
      for (const server of servers) (server as Partial<HttpServer>).closeIdleConnections?.();
    }
    const counts = await Promise.all(servers.map(connectionCount));
    if (counts.every((count) => count === 0)) process.exit(0);
  };
  // An immediate comes after what the sockets have to say, a timer before it.
  setInterval(() => setImmediate(() => void look()), DRAIN_POLL_MS);
}

function connectionCount(server: Server): Promise<number> {
  return new Promise((resolve) => server.getConnections((error, count) => resolve(error ? 0 : count)));
}

function afterMainModule(done: () => void): void {
  const check = (): void => {
    // A CommonJS main module runs to its end before the event loop turns for the first time.
    if (process.mainModule?.loaded) return done();
    const main = process.argv[1];
    if (main === undefined) return done();
    // An ES module may take many turns. To import it again is to wait for the one evaluation that is under way.
    const { pathToFileURL } = require('node:url') as typeof import('node:url');
    const { realpathSync } = require('node:fs') as typeof import('node:fs');
    import(pathToFileURL(realpathSync(main)).href).then(
      () => setImmediate(done),
      // Node itself reports the error and ends the process.
      () => {},
    );
  };
  hideArgument('--require', __filename);
  if (hideArgument('--import', IMPORTS_URL))
    (process as NodeJS.EventEmitter).once(IMPORTS_EVENT, () => setImmediate(check));
  else setImmediate(check);
}

/** Takes an option of ours out of `process.execArgv`, which the app's own children inherit. */
function hideArgument(option: string, value: string): boolean {
  const { execArgv } = process;
  const at = execArgv.findIndex((arg, index) => arg === option && execArgv[index + 1] === value);
  if (at !== -1) execArgv.splice(at, 2);
  return at !== -1;
}

function addressOf(server: Server): string {
  const address = server.address();
  if (address === null || typeof address === 'string') return address ?? 'a descriptor';
  return address.family === 'IPv6' ? `[${address.address}]:${address.port}` : `${address.address}:${address.port}`;
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
