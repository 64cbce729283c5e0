import { watchFailures } from '../lib/failures.mjs';
import { interleave } from '../lib/interleave.mjs';
import { withOpen } from '../lib/sides.mjs';

const WORKERS = 4;
const targets = [{ against: 'nothing', atMost: 0 }];

export const about = {
  rounds: 3,
  measures: {
    quick: { label: 'failed during a reload', unit: '', targets },
    slow: { label: 'the same, answers take 300 ms', unit: '', targets },
    pausing: { label: 'the same, clients pause up to 2 s', unit: '', targets },
    scale: { label: 'failed during scale 4 -> 1 -> 4', unit: '', targets },
    restart: { label: 'failed during restart of one', unit: '', targets },
    requests: { label: 'requests sent in all that', unit: '' },
  },
};

export const measure = ({ sides, rounds }) =>
  withOpen(
    sides.filter(({ name }) => name !== 'bare'),
    async (opened) => {
      const ports = new Map();
      for (const side of opened) ports.set(side, await side.startCluster(WORKERS));
      return interleave(opened, rounds, async (side) => {
        let requests = 0;
        const during = async (change, paths, options) => {
          const load = watchFailures(ports.get(side), paths, options);
          try {
            await load.warm();
            await change();
          } finally {
            await load.stop();
          }
          requests += load.report().requests;
          return load.report().failures;
        };
        return {
          quick: await during(side.reload, ['/']),
          slow: await during(side.reload, ['/slow']),
          pausing: await during(side.reload, ['/'], { pauseMs: 2000 }),
          scale: await during(async () => {
            await side.scale(1);
            await side.scale(WORKERS);
          }, ['/', '/slow']),
          restart: await during(side.restartOne, ['/', '/slow']),
          requests,
        };
      });
    },
  );
