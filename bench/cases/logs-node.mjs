import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { closeLater } from '../lib/cleanup.mjs';
import { interleave } from '../lib/interleave.mjs';
import { checkLines, writeManaged } from '../lib/log-lines.mjs';
import { cpuTime, hasProc } from '../lib/processes.mjs';
import { withOpen } from '../lib/sides.mjs';

const COUNT = 500_000;
const writer = join(dirname(import.meta.dirname), 'apps', 'writes-lines.cjs');
const HOW = {
  log: 'console.log',
  write: 'process.stdout.write',
  drain: 'the same, waiting for drain',
  turns: 'console.log, ten lines in each turn of the loop',
};
const faster = [{ against: 'pm2', atLeast: 1.8 }];

export const about = {
  rounds: 7,
  missing: async () => (hasProc ? undefined : 'processes are read from /proc, which only Linux has'),
  measures: {
    ...Object.fromEntries(
      Object.entries(HOW).flatMap(([how, label]) => [
        [how, { label: `a Node program, ${label}`, unit: '/s', targets: faster }],
        [`${how}Cpu`, { label: 'CPU time of the program and what reads', unit: 'ms' }],
      ]),
    ),
    wrong: { label: 'lines lost, doubled, torn', unit: '', targets: [{ against: 'nothing', atMost: 0 }] },
  },
};

export const measure = async ({ sides, rounds }) => {
  const folder = mkdtempSync(join(tmpdir(), 'upkeep-bench-logs-'));
  const remove = closeLater(async () => rmSync(folder, { recursive: true, force: true }));
  try {
    return await withOpen(
      sides.filter(({ name }) => name !== 'bare'),
      async (opened) => {
        // The first app starts what reads.
        for (const side of opened) await side.run(['start', 'sleep 1000', '--name', 'first']);
        return await interleave(opened, rounds, async (side) => {
          const figures = { wrong: 0 };
          for (const how of Object.keys(HOW)) {
            const pids = side.logPids();
            const before = cpuTime(pids);
            const look = ([log]) => {
              const cpu = cpuTime(pids) - before + Number(readFileSync(`${log}.writer.cpu`, 'utf8')) / 1000;
              const { lost, doubled, torn } = checkLines(log, COUNT);
              return { cpu, wrong: lost + doubled + torn };
            };
            const options = { writer, folder, count: COUNT, chunk: how, instances: 1, interpreter: 'node', look };
            const { lines, cpu, wrong } = await writeManaged(side, options);
            Object.assign(figures, { [how]: lines, [`${how}Cpu`]: cpu, wrong: figures.wrong + wrong });
          }
          return figures;
        });
      },
    );
  } finally {
    await remove();
  }
};
