import { Socket } from 'node:net';
import { bind, nameOf, type RawHandle } from './raw-handle.ts';

const LOOPBACK = '127.0.0.1';
const PAIR_MS = 5000;
const BACKLOG = 64;

/** A connection of this process with itself: one end as a socket, the other as a handle that can be given away. */
export interface Pair {
  readonly near: Socket;
  readonly far: RawHandle;
}

/** Makes connections over the loopback address. */
export class LoopbackPairs {
  #listening: { readonly handle: RawHandle; readonly port: number } | null = null;
  /** By the port of the near end. */
  readonly #expected = new Map<number, (far: RawHandle) => void>();

  connect(): Promise<Pair> {
    const { port } = (this.#listening ??= this.#listen());
    // Bound first, so that its port is known before the far end comes.
    const handle = bindHere();
    const ownPort = Number(nameOf(handle)['port']);
    const near = new Socket({ handle, manualStart: true } as ConstructorParameters<typeof Socket>[0]);
    return new Promise((resolve, reject) => {
      const fail = (error: Error): void => {
        clearTimeout(timer);
        this.#expected.delete(ownPort);
        near.destroy();
        reject(error);
      };
      const timer = setTimeout(() => fail(new Error(`no connection within ${PAIR_MS} ms`)), PAIR_MS);
      near.once('error', fail);
      this.#expected.set(ownPort, (far) => {
        clearTimeout(timer);
        near.off('error', fail);
        resolve({ near, far });
      });
      near.connect(port, LOOPBACK);
    });
  }

  /** Listens no more until the next one is wanted. */
  close(): void {
    this.#listening?.handle.close();
    this.#listening = null;
  }

  #listen(): { handle: RawHandle; port: number } {
    const handle = bindHere();
    handle.onconnection = (status, far) => {
      if (status !== 0 || !far) return;
      const name: Record<string, unknown> = {};
      far.getpeername?.(name);
      const port = Number(name['port']);
      // Any local user may connect: from another address, a port can be the same.
      const then = name['address'] === LOOPBACK ? this.#expected.get(port) : undefined;
      if (!then) return far.close();
      this.#expected.delete(port);
      then(far);
    };
    handle.listen(BACKLOG);
    return { handle, port: Number(nameOf(handle)['port']) };
  }
}

function bindHere(): RawHandle {
  const handle = bind({ address: LOOPBACK, port: 0, addressType: 4, flags: 0 });
  if (typeof handle === 'number') throw new Error(`cannot bind the loopback address: error ${handle}`);
  return handle;
}
