import { interleave } from '../lib/interleave.mjs';
import { withOpen } from '../lib/sides.mjs';
import { load, whyNoWrk } from '../lib/wrk.mjs';

const WORKERS = 2;
const SECONDS = 5;
const WARM_UP_SECONDS = 2;
const CLOSE = ['Connection: close'];

export const about = {
  rounds: 8,
  missing: whyNoWrk,
  measures: {
    keepAlive: { label: 'requests, kept connections', unit: '/s', targets: [{ against: 'bare', atLeast: 1 }] },
    perRequest: { label: 'requests, one connection each', unit: '/s', targets: [{ against: 'bare', atLeast: 1 }] },
  },
};

export const measure = ({ sides, rounds }) =>
  withOpen(sides, async (opened) => {
    const ports = new Map();
    for (const side of opened) {
      const port = await side.startCluster(WORKERS);
      ports.set(side, port);
      await load(port, { seconds: WARM_UP_SECONDS });
      await load(port, { seconds: WARM_UP_SECONDS, headers: CLOSE });
    }
    // One kind after the other: a side's turns at one kind then lie close together.
    const keepAlive = await interleave(opened, rounds, async (side) => ({
      keepAlive: await load(ports.get(side), { seconds: SECONDS }),
    }));
    const perRequest = await interleave(opened, rounds, async (side) => ({
      perRequest: await load(ports.get(side), { seconds: SECONDS, headers: CLOSE }),
    }));
    return { ...keepAlive, ...perRequest };
  });
