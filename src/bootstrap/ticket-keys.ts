import type { Server } from 'node:net';

/**
 * A TLS session that one worker has begun is resumed by each of its siblings, and after a reload: all have the keys for
 * session tickets that their supervisor gives them. Keys of the app's own win.
 */

interface TlsServer extends Server {
  /** Those of its options, which setSecureContext() goes on with. */
  ticketKeys?: Buffer | undefined;
}

type SetTicketKeys = (this: TlsServer, keys: Buffer) => unknown;

export interface TicketKeys {
  /** In base64; those of a server that the app has given keys stay. */
  readonly apply: (server: Server, keys: string) => void;
}

/** @param base what servers of TLS inherit from. */
export function ticketKeys(base: typeof Server): TicketKeys {
  let original: SetTicketKeys | null = null;
  const ofTheApp = new WeakSet<TlsServer>();
  const ours = new WeakSet<TlsServer>();
  // To load the module of TLS would cost each app some milliseconds. When the app does, that sets this method.
  Object.defineProperty(base.prototype, 'setTicketKeys', {
    configurable: true,
    set(this: object, method: SetTicketKeys) {
      original ??= method;
      const value: SetTicketKeys = function (keys) {
        ofTheApp.add(this);
        if (ours.delete(this)) this.ticketKeys = undefined;
        return method.call(this, keys);
      };
      Object.defineProperty(this, 'setTicketKeys', { value, configurable: true, enumerable: true, writable: true });
    },
  });
  return {
    apply: (server: TlsServer, keys) => {
      const isTls = 'getTicketKeys' in server;
      if (!original || !isTls || ofTheApp.has(server) || (server.ticketKeys && !ours.has(server))) return;
      const buffer = Buffer.from(keys, 'base64');
      ours.add(server);
      server.ticketKeys = buffer;
      original.call(server, buffer);
    },
  };
}
