import { setTimeout as sleep } from 'node:timers/promises';
import { interleave } from '../lib/interleave.mjs';
import { overBare } from '../lib/over-bare.mjs';
import { cpuTime, hasProc } from '../lib/processes.mjs';
import { withOpen } from '../lib/sides.mjs';

const APPS = 20;
// What pm2 puts into apps is busy for about 20 s after their start: that is not idle yet.
const SETTLE_MS = 30_000;
const WINDOW_MS = 20_000;

export const about = {
  rounds: 3,
  needsBare: true,
  missing: async () => (hasProc ? undefined : 'CPU time is read from /proc, which only Linux has'),
  measures: {
    managers: { label: `manager with ${APPS} idle apps`, unit: 'ms/s' },
    apps: { label: `added to the ${APPS} idle apps`, unit: 'ms/s' },
    total: { label: 'both', unit: 'ms/s', targets: [{ against: 'pm2', below: 0.2 }] },
  },
};

export const measure = async ({ sides, rounds }) => {
  const samples = await interleave(sides, rounds, (side) =>
    withOpen([side], async ([opened]) => {
      const { apps } = await opened.startMany(APPS);
      await sleep(SETTLE_MS);
      const watched = { managers: opened.managerPids(), apps: apps.map(({ pid }) => pid) };
      const read = () => ({ at: performance.now(), managers: cpuTime(watched.managers), apps: cpuTime(watched.apps) });
      const before = read();
      await sleep(WINDOW_MS);
      const after = read();
      const seconds = (after.at - before.at) / 1000;
      return {
        managers: (after.managers - before.managers) / seconds,
        apps: (after.apps - before.apps) / seconds,
      };
    }),
  );
  return overBare(samples);
};
