import { throughput } from '../lib/throughput.mjs';
import { whyNoWrk } from '../lib/wrk.mjs';

export const about = {
  rounds: 8,
  missing: whyNoWrk,
  measures: {
    requests: { label: 'requests, kept connections', unit: '/s', targets: [{ against: 'bare', atLeast: 0.97 }] },
  },
};

export const measure = (options) => throughput(options, {});
