import { chmodSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';

/** Listens on a unix socket, for the owner only. The caller holds its lock. */
export class Listener {
  readonly #path: string;
  readonly #onConnection: (socket: Socket) => void;
  readonly #complain: (line: string) => void;
  #server: Server | null = null;

  constructor(path: string, onConnection: (socket: Socket) => void, complain: (line: string) => void) {
    this.#path = path;
    this.#onConnection = onConnection;
    this.#complain = complain;
  }

  /** Also once more, where the socket is gone: the connections that there are go on. */
  listen(): Promise<void> {
    // It removes what has its path.
    this.#server?.close();
    rmSync(this.#path, { force: true });
    const server = createServer(this.#onConnection);
    this.#server = server;
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.#path, () => {
        chmodSync(this.#path, 0o600);
        server.off('error', reject);
        // Of a connection that could not be accepted; the next one may be.
        server.on('error', (error) => this.#complain(`took no connection: ${error.message}`));
        resolve();
      });
    });
  }
}
