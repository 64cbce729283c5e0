import { watchFailures } from '../lib/failures.mjs';
import { interleave } from '../lib/interleave.mjs';
import { withOpen } from '../lib/sides.mjs';

const RELOADS = 25;
const WORKERS = [1, 2, 4];
const targets = [{ against: 'nothing', atMost: 0 }];

export const about = {
  rounds: 4,
  measures: {
    ...Object.fromEntries(
      WORKERS.map((count) => [
        `failed${count}`,
        { label: `failed in ${RELOADS} reloads of ${count}`, unit: '', targets },
      ]),
    ),
    requests: { label: 'requests sent in all that', unit: '' },
  },
};

export const measure = ({ sides, rounds }) =>
  withOpen(
    sides.filter(({ name }) => name !== 'bare'),
    async (opened) => {
      const ports = new Map();
      for (const side of opened) ports.set(side, await side.startCluster(WORKERS.at(-1)));
      return interleave(opened, rounds, async (side) => {
        const sample = { requests: 0 };
        for (const count of WORKERS) {
          await side.scale(count);
          const load = watchFailures(ports.get(side), ['/', '/slow', '/pid']);
          try {
            await load.warm();
            for (let done = 0; done < RELOADS; done += 1) await side.reload();
          } finally {
            await load.stop();
          }
          const { requests, failures } = load.report();
          sample[`failed${count}`] = failures;
          sample.requests += requests;
        }
        return sample;
      });
    },
  );
