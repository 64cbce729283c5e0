import { connect, type Socket } from 'node:net';
import { bind, nameOf, type RawHandle } from './raw-handle.ts';

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
  /** The two ends of a connection may come in either order: by the port of the near one. */
  readonly #expected = new Map<number, (far: RawHandle) => void>();
  readonly #arrived = new Map<number, RawHandle>();

  connect(): Promise<Pair> {
    const { port } = (this.#listening ??= this.#listen());
    return new Promise((resolve, reject) => {
      const near = connect(port, '127.0.0.1');
      const fail = (error: Error): void => {
        clearTimeout(timer);
        if (near.localPort !== undefined) this.#expected.delete(near.localPort);
        near.destroy();
        reject(error);
      };
      const timer = setTimeout(() => fail(new Error(`no connection within ${PAIR_MS} ms`)), PAIR_MS);
      near.once('error', fail);
      near.once('connect', () => {
        this.#expect(near.localPort ?? 0, (far) => {
          clearTimeout(timer);
          near.off('error', fail);
          resolve({ near, far });
        });
      });
    });
  }

  /** Listens no more until the next one is wanted. */
  close(): void {
    this.#listening?.handle.close();
    this.#listening = null;
  }

  #expect(port: number, then: (far: RawHandle) => void): void {
    const arrived = this.#arrived.get(port);
    if (!arrived) return void this.#expected.set(port, then);
    this.#arrived.delete(port);
    then(arrived);
  }

  #listen(): { handle: RawHandle; port: number } {
    const handle = bind({ address: '127.0.0.1', port: 0, addressType: 4, flags: 0 });
    if (typeof handle === 'number') throw new Error(`cannot listen on the loopback address: error ${handle}`);
    handle.onconnection = (status, far) => {
      if (status !== 0 || !far) return;
      const name: Record<string, unknown> = {};
      far.getpeername?.(name);
      const port = Number(name['port']);
      const then = this.#expected.get(port);
      this.#expected.delete(port);
      if (then) return then(far);
      this.#arrived.set(port, far);
      setTimeout(() => {
        if (this.#arrived.get(port) !== far) return;
        this.#arrived.delete(port);
        far.close();
      }, PAIR_MS).unref();
    };
    handle.listen(BACKLOG);
    return { handle, port: Number(nameOf(handle)['port']) };
  }
}
