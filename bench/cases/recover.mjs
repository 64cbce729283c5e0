import { setTimeout as sleep } from 'node:timers/promises';
import { interleave } from '../lib/interleave.mjs';
import { withOpen } from '../lib/sides.mjs';

// Long enough for no manager to take the app for one that crashes at start and to hold it back.
const UP_MS = 3000;

export const about = {
  rounds: 10,
  needsBare: true,
  measures: {
    recover: {
      label: 'killed, until it answers (bare: its start)',
      unit: 'ms',
      targets: [{ against: 'bare', below: 1.15 }],
    },
  },
};

export const measure = ({ sides, rounds }) =>
  withOpen(sides, async (opened) => {
    const running = new Map();
    for (const side of opened) {
      const { apps } = await side.startOne();
      running.set(side, apps[0]);
    }
    return interleave(opened, rounds, async (side) => {
      await sleep(UP_MS);
      if (side.name === 'bare') {
        await side.clear();
        return { recover: (await side.startOne()).readyMs };
      }
      const ready = side.hub.expect(1);
      const killedAt = performance.now();
      process.kill(running.get(side).pid, 'SIGKILL');
      const { at, apps } = await ready;
      running.set(side, apps[0]);
      return { recover: at - killedAt };
    });
  });
