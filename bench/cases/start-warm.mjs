import { setTimeout as sleep } from 'node:timers/promises';
import { interleave } from '../lib/interleave.mjs';
import { withOpen } from '../lib/sides.mjs';

const PAUSE_MS = 300;

export const about = {
  rounds: 10,
  measures: {
    ready: { label: 'start, until it answers', unit: 'ms', targets: [{ against: 'pm2', below: 0.6 }] },
    returned: { label: 'start, until the command ends', unit: 'ms' },
  },
};

export const measure = ({ sides, rounds }) =>
  withOpen(sides, async (opened) => {
    const startAndClear = async (side) => {
      const { readyMs, returnedMs } = await side.startOne();
      await side.clear();
      await sleep(PAUSE_MS);
      return returnedMs === undefined ? { ready: readyMs } : { ready: readyMs, returned: returnedMs };
    };
    // Brings the daemon up.
    for (const side of opened) await startAndClear(side);
    return interleave(opened, rounds, startAndClear);
  });
