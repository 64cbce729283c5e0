import { loadApp } from '../lib/apps.mjs';
import { watchHabits } from '../lib/habits.mjs';
import { interleave } from '../lib/interleave.mjs';
import { hasNginx, startNginx } from '../lib/nginx.mjs';
import { withOpen } from '../lib/sides.mjs';

const RELOADS = 100;
const WORKERS = 2;
const COPIES = 2;
const targets = [{ against: 'nothing', atMost: 0 }];

export const about = {
  rounds: 3,
  measures: {
    failed: { label: `failed in ${RELOADS} reloads, clients of all kinds`, unit: '', targets },
    proxied: { label: 'the same through nginx with upstream keepalive', unit: '', targets },
    moved: { label: 'connections that went on in another worker', unit: '' },
    requests: { label: 'requests sent in all that', unit: '' },
  },
};

export const measure = ({ sides, rounds }) =>
  withOpen(
    sides.filter(({ name }) => name === 'upkeep'),
    async (opened) => {
      const ports = new Map();
      for (const side of opened) ports.set(side, await side.startCluster(WORKERS, { script: loadApp }));
      return interleave(opened, rounds, async (side) => {
        const port = ports.get(side);
        const nginx = hasNginx() ? await startNginx(port) : null;
        const direct = await watchHabits(port, COPIES);
        const proxied = nginx && (await watchHabits(nginx.port, COPIES));
        try {
          for (let done = 0; done < RELOADS; done += 1) await side.reload();
        } finally {
          await Promise.all([direct.stop(), proxied?.stop()]);
          await nginx?.stop();
        }
        const { requests, moved, failures } = await direct.stop();
        const through = await proxied?.stop();
        for (const failure of [...failures, ...(through?.failures ?? [])].slice(0, 20)) console.error(failure);
        return {
          failed: failures.length,
          ...(through && { proxied: through.failures.length }),
          moved,
          requests: requests + (through?.requests ?? 0),
        };
      });
    },
  );
