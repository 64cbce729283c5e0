import { setTimeout as sleep } from 'node:timers/promises';
import { interleave } from '../lib/interleave.mjs';
import { overBare } from '../lib/over-bare.mjs';
import { hasProc, privateMemory } from '../lib/processes.mjs';
import { withOpen } from '../lib/sides.mjs';
import { median } from '../lib/statistics.mjs';

const APPS = 20;
const SETTLE_MS = 20_000;
const READINGS = 5;
const BETWEEN_MS = 1000;

export const about = {
  rounds: 3,
  needsBare: true,
  missing: async () => (hasProc ? undefined : 'private memory is read from /proc, which only Linux has'),
  measures: {
    managers: { label: `manager with ${APPS} apps`, unit: 'MB' },
    apps: { label: `added to the ${APPS} apps`, unit: 'MB' },
    total: { label: 'both', unit: 'MB', targets: [{ against: 'pm2', below: 0.45 }] },
    plain: { label: `the ${APPS} apps themselves`, unit: 'MB' },
  },
};

// One side at a time: pages that only one process uses count as its own, and another side would share them.
export const measure = async ({ sides, rounds }) => {
  const samples = await interleave(sides, rounds, (side) =>
    withOpen([side], async ([opened]) => {
      const { apps } = await opened.startMany(APPS);
      const appPids = apps.map(({ pid }) => pid);
      await sleep(SETTLE_MS);
      const readings = { managers: [], apps: [] };
      for (let reading = 0; reading < READINGS; reading += 1) {
        readings.managers.push(privateMemory(opened.managerPids()));
        readings.apps.push(privateMemory(appPids));
        await sleep(BETWEEN_MS);
      }
      return { managers: median(readings.managers), apps: median(readings.apps) };
    }),
  );
  return { ...overBare(samples), plain: samples.apps };
};
