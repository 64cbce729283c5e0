import { setTimeout as sleep } from 'node:timers/promises';
import { interleave } from '../lib/interleave.mjs';
import { withOpen } from '../lib/sides.mjs';

const MANY = 50;
const PAUSE_MS = 300;

export const about = {
  rounds: 7,
  measures: {
    warm: { label: 'start a worker, until the command ends', unit: 'ms', targets: [{ against: 'pm2', below: 1 }] },
    cold: { label: 'the same, the first start', unit: 'ms', targets: [{ against: 'pm2', below: 0.8 }] },
    many: { label: `start ${MANY} workers from one file`, unit: 'ms', targets: [{ against: 'pm2', below: 0.65 }] },
  },
};

// A program that listens nowhere is ready when its manager says so: there is nothing to compare it to.
export const measure = ({ sides, rounds }) =>
  withOpen(
    sides.filter(({ name }) => name !== 'bare'),
    async (opened) => {
      const startAndClear = async (side, count) => {
        const ms = await side.startWorkers(count);
        await side.clear();
        await sleep(PAUSE_MS);
        return ms;
      };
      // Brings the daemon up, and fills the home and the disk cache.
      for (const side of opened) await startAndClear(side, 1);
      return interleave(opened, rounds, async (side) => {
        const warm = await startAndClear(side, 1);
        const many = await startAndClear(side, MANY);
        await side.stopDaemon();
        await sleep(PAUSE_MS);
        const cold = await startAndClear(side, 1);
        return { warm, cold, many };
      });
    },
  );
