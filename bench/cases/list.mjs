import { interleave } from '../lib/interleave.mjs';
import { withOpen } from '../lib/sides.mjs';

const APPS = 10;

export const about = {
  rounds: 20,
  measures: {
    list: {
      label: `list, ${APPS} apps`,
      unit: 'ms',
      targets: [
        { against: 'bare', atMost: 1.3 },
        { against: 'pm2', below: 0.6 },
      ],
    },
  },
};

export const measure = ({ sides, rounds }) =>
  withOpen(sides, async (opened) => {
    for (const side of opened) {
      if (side.name !== 'bare') await side.startMany(APPS);
      await side.list();
    }
    return interleave(opened, rounds, async (side) => ({ list: (await side.list()).ms }));
  });
