import { throughput } from '../lib/throughput.mjs';
import { whyNoWrk } from '../lib/wrk.mjs';

export const about = {
  rounds: 8,
  missing: whyNoWrk,
  measures: {
    requests: {
      label: 'requests, one connection each',
      unit: '/s',
      targets: [
        { against: 'pm2', atLeast: 2 },
        { against: 'bare', atLeast: 0.85 },
      ],
    },
  },
};

// Bare is the fastest that Node's own cluster can do: one socket that all workers accept from.
export const measure = (options) => throughput(options, { headers: ['Connection: close'], policy: 'none' });
