import * as net from 'node:net';

/** What Node's servers and sockets stand on: its TCP and Pipe wraps, as far as they are used here. */
export interface RawHandle {
  onconnection?: ((status: number, client?: RawHandle) => void) | null;
  readonly listen: (backlog: number) => number;
  readonly close: () => void;
  readonly getsockname?: (out: Record<string, unknown>) => number;
  readonly getpeername?: (out: Record<string, unknown>) => number;
}

export interface BindRequest {
  readonly address: string | null;
  readonly port: number;
  readonly addressType: number;
  readonly flags: number;
}

const EINVAL = -22;

/** libuv's UV_TCP_IPV6ONLY: all that Node's own listen() asks of another process. */
export const IPV6_ONLY = 1;

/** libuv's UV_TCP_REUSEPORT, which Node passes on from 22.12. */
export const REUSE_PORT = 2;

type CreateServerHandle = (
  address: string | null,
  port: number,
  addressType: number,
  fd: undefined,
  flags: number,
) => RawHandle | number;

/** Binds a socket that accepts nothing yet. @returns the negative errno when it cannot be. */
export function bind({ address, port, addressType, flags }: BindRequest): RawHandle | number {
  // Of what has neither port nor path, Node would ask what only a port can do.
  if (port < 0 && !address) return EINVAL;
  const { _createServerHandle: create } = net as unknown as { _createServerHandle: CreateServerHandle };
  const handle = create(address, port, addressType, undefined, flags);
  if (typeof handle === 'number') return handle;
  // An address in use is told only when the socket is first asked for something.
  const errno = handle.getsockname?.({}) ?? 0;
  if (errno === 0) return handle;
  handle.close();
  return errno;
}

export function nameOf(handle: RawHandle): Record<string, unknown> {
  const name = {};
  handle.getsockname?.(name);
  return name;
}
