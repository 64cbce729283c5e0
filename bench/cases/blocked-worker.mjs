import { setTimeout as sleep } from 'node:timers/promises';
import { interleave } from '../lib/interleave.mjs';
import { ask, openConnection } from '../lib/persistent.mjs';
import { withOpen } from '../lib/sides.mjs';
import { quantile } from '../lib/statistics.mjs';

const WORKERS = 4;
const BLOCKED_MS = 2000;
const EVERY_MS = 5;
const LONG_MS = 500;

export const about = {
  rounds: 5,
  measures: {
    waited: {
      label: `new connections that waited > ${LONG_MS} ms`,
      unit: '',
      targets: [{ against: 'nothing', atMost: 0 }],
    },
    p99: { label: 'their p99', unit: 'ms' },
    longest: { label: 'the longest', unit: 'ms' },
  },
};

const timeOne = async (port) => {
  const startedAt = performance.now();
  const socket = await openConnection(port);
  await ask(socket, '/pid');
  socket.destroy();
  return performance.now() - startedAt;
};

export const measure = ({ sides, rounds }) =>
  withOpen(sides, async (opened) => {
    const ports = new Map();
    for (const side of opened) ports.set(side, await side.startCluster(WORKERS));
    return interleave(opened, rounds, async (side) => {
      const port = ports.get(side);
      const blocking = await openConnection(port);
      await ask(blocking, '/block');
      const times = [];
      const until = performance.now() + BLOCKED_MS - LONG_MS;
      while (performance.now() < until) {
        times.push(timeOne(port));
        await sleep(EVERY_MS);
      }
      const all = await Promise.all(times);
      await ask(blocking, '/pid');
      blocking.destroy();
      return {
        waited: all.filter((ms) => ms > LONG_MS).length,
        p99: quantile(all, 0.99),
        longest: Math.max(...all),
      };
    });
  });
