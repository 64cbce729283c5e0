import { ChildProcess } from 'node:child_process';
import { chmodSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { IPC_CMD, type IpcEnvelope } from '../protocol/ipc.ts';
import { parseFromApp } from '../protocol/ipc-schema.ts';
import { removeQuietly } from '../protocol/remove-quietly.ts';
import { Door } from './door.ts';
import { guardChannel } from './guard-channel.ts';

/** Who connects says its token within this time. */
const TOKEN_MS = 5000;

/** Beside those that are expected, so many may be there that have not said theirs yet. */
const MOST_STRANGERS = 64;

/** Where the apps of a supervisor that is gone come to be bound to this one. docs/adoption.md tells the whole story. */
export class AttachServer {
  readonly #path: string;
  readonly #door: Door | null;
  readonly #expected = new Map<string, (channel: ChildProcess) => void>();
  readonly #strangers = new Set<ChildProcess>();
  #listens = false;

  /** @param door a folder for apps that may not enter the home, as those of other users. */
  constructor(path: string, door: string) {
    this.#path = path;
    // Nobody but root has such apps, and nothing but Linux leads through a descriptor.
    const isOfUse = process.geteuid?.() === 0 && process.platform === 'linux';
    this.#door = isOfUse ? new Door(door, (socket) => this.#accept(socket)) : null;
  }

  /** @returns the descriptor of the folder, to be given to an app; null for none. */
  openDoor(): number | null {
    return this.#door?.open() ?? null;
  }

  /** @param arrived gets the channel of the app with that token; its handles and messages come from then on. */
  expect(token: string, arrived: (channel: ChildProcess) => void): void {
    this.#expected.set(token, arrived);
    if (!this.#listens) this.#listen();
  }

  forget(token: string): void {
    this.#expected.delete(token);
  }

  #listen(): void {
    this.#listens = true;
    removeQuietly(this.#path);
    const server = createServer({ pauseOnConnect: true }, (socket) => this.#accept(socket));
    // Without it apps are watched from outside, and end by signals.
    server.on('error', () => {});
    server.listen(this.#path, () => chmodSync(this.#path, 0o600));
    server.unref();
    this.#door?.open();
  }

  #accept(socket: Socket): void {
    const channel = channelOver(socket);
    if (!channel) return void socket.destroy();
    const late = setTimeout(() => channel.disconnect(), TOKEN_MS);
    channel.on('error', () => {});
    const known = (): void => {
      clearTimeout(late);
      this.#strangers.delete(channel);
    };
    channel.once('disconnect', known);
    // Who means well says its token at once: the oldest does not.
    const [oldest] = this.#strangers;
    if (oldest && this.#strangers.size >= this.#expected.size + MOST_STRANGERS) oldest.disconnect();
    this.#strangers.add(channel);
    onInternal(channel, (message) => {
      const first = message?.cmd === IPC_CMD ? parseFromApp(message.body) : null;
      const arrived = first?.kind === 'attach' ? this.#expected.get(first.token) : undefined;
      known();
      if (first?.kind !== 'attach' || !arrived) return channel.disconnect();
      this.#expected.delete(first.token);
      arrived(channel);
    });
  }
}

function onInternal(channel: NodeJS.EventEmitter, handle: (message: Partial<IpcEnvelope<unknown>> | null) => void) {
  channel.once('internalMessage', handle);
}

/** Sockets whose descriptor has got another owner: closing them would close it. */
const given = new Set<Socket>();

interface ChannelStdio {
  readonly handle?: { readonly open: (fd: number) => number };
}

/**
 * An IPC channel as between parent and child, over a connection: Node sets one up while it spawns, so it is made to
 * believe that it does. The two names without documentation are `_handle` of a child, and of a socket.
 */
function channelOver(socket: Socket): ChildProcess | null {
  const { _handle: raw } = socket as Socket & { _handle?: { readonly fd: number; readonly unref: () => void } };
  if (!raw || raw.fd < 0) return null;
  raw.unref();
  given.add(socket);
  const child = new ChildProcess() as ChildProcess & {
    readonly _handle: { spawn: (...options: unknown[]) => number };
    readonly spawn: (options: unknown) => number;
  };
  child._handle.spawn = (...options) => {
    // Node 24 hands over one by one what was one object before.
    const lists = options.map((option) => (Array.isArray(option) ? option : (option as { stdio?: unknown })?.stdio));
    const stdio = lists.find((list): list is ChannelStdio[] => Array.isArray(list) && Boolean(list[IPC_FD]?.handle));
    return stdio?.[IPC_FD]?.handle?.open(raw.fd) ?? -1;
  };
  const ignored = ['ignore', 'ignore', 'ignore'];
  child.spawn({ file: 'adopted', args: [], stdio: [...ignored, 'ipc'], serialization: 'json' });
  guardChannel(child);
  return child;
}

const IPC_FD = 3;
