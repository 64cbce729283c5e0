import { watchFailures } from '../lib/failures.mjs';
import { interleave } from '../lib/interleave.mjs';
import { withOpen } from '../lib/sides.mjs';

const WORKERS = 4;
const START_MS = 300;

export const about = {
  rounds: 5,
  needsBare: true,
  measures: {
    ms: {
      label: `reload of ${WORKERS} workers; bare is ${WORKERS} starts`,
      unit: 'ms',
      targets: [
        { against: 'bare', below: 1.5 },
        { against: 'pm2', below: 1 },
      ],
    },
    failed: { label: 'failed requests meanwhile', unit: '', targets: [{ against: 'nothing', atMost: 0 }] },
  },
};

export const measure = ({ sides, rounds }) =>
  withOpen(sides, async (opened) => {
    const ports = new Map();
    const extraEnv = { BENCH_START_MS: String(START_MS) };
    for (const side of opened) if (side.reload) ports.set(side, await side.startCluster(WORKERS, { extraEnv }));
    return interleave(opened, rounds, async (side) => {
      if (!side.reload) {
        const { readyMs } = await side.startOne(extraEnv);
        await side.clear();
        return { ms: readyMs * WORKERS };
      }
      const load = watchFailures(ports.get(side), ['/', '/pid']);
      try {
        await load.warm();
        const { ms } = await side.reload();
        await load.stop();
        return { ms, failed: load.report().failures };
      } finally {
        await load.stop();
      }
    });
  });
