import { chmodSync, closeSync, constants, fstatSync, mkdirSync, openSync, renameSync, rmSync, statSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { ATTACH_DOOR } from '../protocol/ipc.ts';

/**
 * A socket for apps that may not enter the home: in a folder of its own, of which each of them has a descriptor from its
 * start. Through /proc/self/fd that leads into the folder past all that are above it, which stay closed. Who has none
 * finds no way.
 */
export class Door {
  readonly #folder: string;
  readonly #accept: (socket: Socket) => void;
  #fd: number | null = null;

  constructor(folder: string, accept: (socket: Socket) => void) {
    this.#folder = folder;
    this.#accept = accept;
  }

  /** Listens there. @returns the descriptor; null where there can be none, as on a full disk. */
  open(): number | null {
    try {
      if (this.#fd !== null && !this.#isThere(this.#fd)) {
        closeSync(this.#fd);
        this.#fd = null;
      }
      this.#fd ??= this.#make();
    } catch {
      // Its apps are watched from outside when this supervisor is gone.
    }
    return this.#fd;
  }

  #isThere(fd: number): boolean {
    const [own, there] = [fstatSync(fd), statSync(this.#folder, { throwIfNoEntry: false })];
    return there?.ino === own.ino && there.dev === own.dev;
  }

  #make(): number {
    mkdirSync(this.#folder, { recursive: true });
    // It may be passed through, and not be read or written.
    chmodSync(this.#folder, 0o711);
    const path = join(this.#folder, ATTACH_DOOR);
    const fresh = `${path}.new`;
    rmSync(fresh, { force: true });
    const server = createServer({ pauseOnConnect: true }, this.#accept);
    server.on('error', () => {});
    server.listen(fresh, () => {
      try {
        chmodSync(fresh, 0o666);
        // An app takes one that is not there for the end of all.
        renameSync(fresh, path);
      } catch {
        server.close();
      }
    });
    server.unref();
    return openSync(this.#folder, constants.O_RDONLY | constants.O_DIRECTORY);
  }
}
