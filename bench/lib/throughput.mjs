import { interleave } from './interleave.mjs';
import { withOpen } from './sides.mjs';
import { load } from './wrk.mjs';

const WORKERS = 2;
const SECONDS = 4;
const WARM_UP_SECONDS = 2;

/** Requests per second of a cluster. @param policy how bare Node schedules connections, `rr` or `none`. */
export const throughput = ({ sides, rounds }, { headers = [], policy = 'rr' }) =>
  withOpen(sides, async (opened) => {
    const ports = new Map();
    for (const side of opened) {
      const port = await side.startCluster(WORKERS, { policy });
      ports.set(side, port);
      await load(port, { seconds: WARM_UP_SECONDS, headers });
    }
    return interleave(opened, rounds, async (side) => ({
      requests: await load(ports.get(side), { seconds: SECONDS, headers }),
    }));
  });
