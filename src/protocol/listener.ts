import { chmodSync, rmSync } from 'node:fs';
import type { Server } from 'node:net';

/** Listens on a unix socket, for the owner only. The caller holds its lock. */
export function listenOn(server: Server, path: string, complain: (line: string) => void): Promise<void> {
  rmSync(path, { force: true });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, () => {
      chmodSync(path, 0o600);
      server.off('error', reject);
      // Of a connection that could not be accepted; the next one may be.
      server.on('error', (error) => complain(`took no connection: ${error.message}`));
      resolve();
    });
  });
}
