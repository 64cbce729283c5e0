import { connect } from 'node:net';
import { Peer, type PeerHandlers } from '../protocol/peer.ts';

/** @throws Error with the code of the system, as ENOENT or ECONNREFUSED, when nobody listens on the socket. */
export function connectPeer(socketPath: string, handlers: PeerHandlers = {}): Promise<Peer> {
  return new Promise((resolve, reject) => {
    const socket = connect(socketPath);
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.removeListener('error', reject);
      resolve(new Peer(socket, handlers));
    });
  });
}
