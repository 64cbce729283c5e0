import { setTimeout as sleep } from 'node:timers/promises';
import { interleave } from '../lib/interleave.mjs';
import { withOpen } from '../lib/sides.mjs';

const PAUSE_MS = 300;

export const about = {
  rounds: 10,
  measures: {
    ready: { label: 'first start, until it answers', unit: 'ms', targets: [{ against: 'pm2', below: 0.7 }] },
    returned: { label: 'first start, until the command ends', unit: 'ms' },
  },
};

export const measure = ({ sides, rounds }) =>
  withOpen(sides, async (opened) => {
    const startAndStop = async (side) => {
      const { readyMs, returnedMs } = await side.startOne();
      await side.clear();
      await side.stopDaemon();
      await sleep(PAUSE_MS);
      return returnedMs === undefined ? { ready: readyMs } : { ready: readyMs, returned: returnedMs };
    };
    // Not counted: fills the home and the disk cache, which a machine does once, not at each boot.
    for (const side of opened) await startAndStop(side);
    return interleave(opened, rounds, startAndStop);
  });
