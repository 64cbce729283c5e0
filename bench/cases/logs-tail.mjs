import { execFileSync } from 'node:child_process';
import { closeSync, openSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { interleave } from '../lib/interleave.mjs';
import { whyNoWriter, withWriter } from '../lib/log-lines.mjs';
import { withOpen } from '../lib/sides.mjs';

const GIB = 1024 ** 3;
const LINES = 24_000_000;
const SMALL = 11;

export const about = {
  rounds: 15,
  missing: whyNoWriter,
  measures: {
    ms: {
      label: 'logs --lines 15 --nostream, a log of 2 GiB; bare is of 1 kB',
      unit: 'ms',
      targets: [{ against: 'bare', atMost: 1.2 }],
    },
  },
};

const write = ({ writer, folder }, log, count) => {
  const go = join(folder, 'go');
  writeFileSync(go, '');
  const fd = openSync(log, 'w');
  execFileSync(writer, [join(folder, 'began'), String(count), '4096', go], { stdio: ['ignore', fd, 'inherit'] });
  closeSync(fd);
};

export const measure = ({ sides, rounds }) =>
  withWriter((writing) =>
    withOpen(
      sides.filter(({ name }) => name !== 'bare'),
      async (opened) => {
        const logs = { small: join(writing.folder, 'small.log'), large: join(writing.folder, 'large.log') };
        write(writing, logs.small, SMALL);
        write(writing, logs.large, LINES);
        if (statSync(logs.large).size < 2 * GIB) throw new Error('the large log is too small');
        for (const side of opened) {
          for (const [name, log] of Object.entries(logs)) {
            const never = side.name === 'upkeep' ? ['--log-max-size', '0'] : [];
            await side.run(['start', 'sleep 1000', '--name', name, '-o', log, '-e', '/dev/null', ...never]);
          }
        }
        let round = 0;
        const samples = await interleave(opened, rounds, async (side) => {
          const show = async (name) => {
            const { ms, output } = await side.run(['logs', name, '--lines', '15', '--nostream']);
            if (!output.includes('the quick brown fox')) throw new Error(`no lines: ${output.slice(0, 500)}`);
            return ms;
          };
          // Neither always comes first.
          round += 1;
          if (round % 2 === 0) return { ms: await show('large'), small: await show('small') };
          const small = await show('small');
          return { ms: await show('large'), small };
        });
        return { ms: { ...samples.ms, bare: samples.small.upkeep ?? samples.small.pm2 } };
      },
    ),
  );
