import { setTimeout as sleep } from 'node:timers/promises';
import { interleave } from '../lib/interleave.mjs';
import { ask, openConnection } from '../lib/persistent.mjs';
import { withOpen } from '../lib/sides.mjs';

const WORKERS = 4;
const CONNECTIONS = 64;
const APART_MS = 10;
const SETTLE_MS = 100;
const targets = [{ against: 'nothing', atMost: 1.35 }];

export const about = {
  rounds: 20,
  measures: {
    burst: { label: `${CONNECTIONS} connections at once, busiest by mean`, unit: 'x', targets },
    apart: { label: `the same, one each ${APART_MS} ms`, unit: 'x', targets },
  },
};

/** How many connections the busiest worker has, by the mean of all. */
const busiest = async (sockets) => {
  const held = {};
  for (const pid of await Promise.all(sockets.map((socket) => ask(socket, '/pid')))) held[pid] = (held[pid] ?? 0) + 1;
  for (const socket of sockets) socket.destroy();
  await sleep(SETTLE_MS);
  return Math.max(...Object.values(held)) / (CONNECTIONS / WORKERS);
};

export const measure = ({ sides, rounds }) =>
  withOpen(sides, async (opened) => {
    const ports = new Map();
    for (const side of opened) ports.set(side, await side.startCluster(WORKERS));
    return interleave(opened, rounds, async (side) => {
      const port = ports.get(side);
      const burst = await busiest(await Promise.all(Array.from({ length: CONNECTIONS }, () => openConnection(port))));
      const sockets = [];
      for (let left = CONNECTIONS; left > 0; left -= 1) {
        sockets.push(await openConnection(port));
        await sleep(APART_MS);
      }
      return { burst, apart: await busiest(sockets) };
    });
  });
