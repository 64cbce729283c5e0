import { setTimeout as sleep } from 'node:timers/promises';
import { connectPeer } from '../client/connect.ts';
import { lockHolder } from '../platform/lock.ts';
import type { Home } from '../protocol/home.ts';
import type { Peer } from '../protocol/peer.ts';

/** Before another look at a daemon that does not listen yet. */
const AGAIN_MS = 100;

/**
 * For the process of an init system, where a command or a supervisor has started the daemon: asks that one to leave, and
 * resolves when there is none any more.
 */
export async function standBy({ root, daemonLock, daemonSocket }: Home): Promise<void> {
  process.title = `upkeep stand-by ${root}`;
  while (lockHolder(daemonLock) !== null) {
    // It answers by its end. One that may not leave yet, or does not know how to, ends at another time.
    await new Promise<void>((resolve, reject) => {
      const ask = (peer: Peer): void => void peer.request('leave', { whenIdle: true }, 0).catch(() => {});
      connectPeer(daemonSocket, { onClose: resolve }).then(ask, reject);
    }).catch(() => sleep(AGAIN_MS));
  }
}
