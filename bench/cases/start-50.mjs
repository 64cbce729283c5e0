import { setTimeout as sleep } from 'node:timers/promises';
import { interleave } from '../lib/interleave.mjs';
import { withOpen } from '../lib/sides.mjs';

const APPS = 50;
const PAUSE_MS = 1000;

export const about = {
  rounds: 5,
  measures: {
    ready: { label: `start ${APPS} apps, until all answer`, unit: 'ms', targets: [{ against: 'pm2', below: 0.7 }] },
    returned: { label: `start ${APPS} apps, until the command ends`, unit: 'ms' },
  },
};

export const measure = ({ sides, rounds }) =>
  withOpen(sides, async (opened) => {
    for (const side of opened) {
      await side.startOne();
      await side.clear();
    }
    return interleave(opened, rounds, async (side) => {
      const { readyMs, returnedMs } = await side.startMany(APPS);
      await side.clear();
      await sleep(PAUSE_MS);
      return returnedMs === undefined ? { ready: readyMs } : { ready: readyMs, returned: returnedMs };
    });
  });
