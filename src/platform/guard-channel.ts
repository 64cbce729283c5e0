import type { ChildProcess } from 'node:child_process';
import { IPC_CMD } from '../protocol/ipc.ts';
import { type User, withRightsOf } from './as-user.ts';
import { boundChannel } from './channel-bounds.ts';

const EINVAL = -22;

/** Our messages that come with a handle, which is a raw one then. */
const WITH_HANDLE: ReadonlySet<unknown> = new Set(['pass-on', 'have-socket']);
const RAW = 'net.Native';

interface Handle {
  readonly close: () => void;
}

type Message = Readonly<Record<string, unknown>>;

const NOBODY_ELSE: User = { uid: null, gid: null };

/**
 * Keeps what an app sends from doing more than it may. Node trusts whoever is at the other end of a channel: its
 * internal messages, which an app can send too, end this process when they come at the wrong time, let its cluster
 * module bind any path, or give away any descriptor of this process, which may be root where its apps are not.
 * @param user whom the app runs as.
 */
export function guardChannel(child: ChildProcess, user: User = NOBODY_ELSE): void {
  const emit = child.emit.bind(child) as (event: string, ...args: unknown[]) => boolean;
  const guarded = (event: string, ...args: unknown[]): boolean => {
    if (event !== 'internalMessage') return emit(event, ...args);
    const [message, handle] = args as [Message, Handle | undefined];
    switch (message['cmd']) {
      case IPC_CMD:
        return emit(event, message, handle);
      case 'NODE_HANDLE': {
        const inner = message['msg'];
        // Node would answer over a channel that is closed, which it takes for a bug of its own.
        if (!child.connected) {
          handle?.close();
          return false;
        }
        if (!handle || (message['type'] === RAW && mayBringHandle(inner))) return emit(event, message, handle);
        handle.close();
        // Else it would wait for that with everything else that it has to say.
        answer(child, { cmd: 'NODE_HANDLE_ACK' });
        if (!isInternal(inner)) return emit('message', inner);
        return inner['cmd'] !== 'NODE_HANDLE' && guarded(event, inner);
      }
      case 'NODE_HANDLE_ACK':
      case 'NODE_HANDLE_NACK':
        return isAwaited(child) && emit(event, message);
      case 'NODE_CLUSTER':
        // It binds.
        if (isHarmless(message)) return withRightsOf(user, () => emit(event, message));
        return answer(child, { cmd: 'NODE_CLUSTER', ack: message['seq'], errno: EINVAL });
      default:
        return false;
    }
  };
  child.emit = guarded as ChildProcess['emit'];
  boundChannel(child);
}

function answer(child: ChildProcess, message: Message): boolean {
  return child.connected && child.send(message, () => {});
}

function mayBringHandle(message: unknown): boolean {
  if (!isInternal(message) || message['cmd'] !== IPC_CMD) return false;
  return WITH_HANDLE.has((message['body'] as Message | null | undefined)?.['kind']);
}

/** As Node tells its own messages from those of programs. */
function isInternal(message: unknown): message is Message {
  const cmd = typeof message === 'object' && message !== null ? (message as Message)['cmd'] : null;
  return typeof cmd === 'string' && cmd.startsWith('NODE_');
}

/** Whether a handle was sent, and its arrival not told yet: Node takes for granted that nobody tells it else. */
function isAwaited(child: ChildProcess): boolean {
  return Array.isArray((child as { readonly _handleQueue?: unknown })._handleQueue);
}

/** Of Node's cluster module, by which only datagram sockets are shared here; docs/sockets.md tells of the others. */
function isHarmless({ act, ack, address, port, addressType, fd }: Message): boolean {
  const isAddress = address === null || address === undefined || (typeof address === 'string' && address.length < 1000);
  const isPort = port === null || port === undefined || Number.isInteger(port);
  switch (act) {
    case 'online':
    case 'exitedAfterDisconnect':
    case 'close':
      return true;
    case 'listening':
      return isAddress && isPort;
    case 'queryServer': {
      const isDatagram = addressType === 'udp4' || addressType === 'udp6';
      return isDatagram && isAddress && isPort && !(typeof fd === 'number' && fd >= 0);
    }
    default:
      return act === undefined && typeof ack === 'number';
  }
}
