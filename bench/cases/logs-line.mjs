import { interleave } from '../lib/interleave.mjs';
import { checkLines, whyNoWriter, withWriter, writeBare, writeManaged } from '../lib/log-lines.mjs';
import { cpuTime, hasProc, peakMemory } from '../lib/processes.mjs';
import { withOpen } from '../lib/sides.mjs';

const COUNT = 1_000_000;
const LINE_BYTES = 92;
const GIB = 1024 ** 3;
const none = [{ against: 'nothing', atMost: 0 }];

export const about = {
  rounds: 7,
  needsBare: true,
  missing: async () => (hasProc ? whyNoWriter() : 'processes are read from /proc, which only Linux has'),
  measures: {
    lines: {
      label: 'one app, a write for each line; bare writes to the file',
      unit: '/s',
      targets: [
        { against: 'pm2', atLeast: 1.5 },
        { against: 'bare', atLeast: 0.75 },
      ],
    },
    reader: { label: 'the same; bare is the least that reads a named pipe', unit: '/s' },
    chunks: { label: 'one app, writes of 4 KiB; bare writes to the file', unit: '/s' },
    wrong: { label: 'lines lost, doubled, torn or out of order', unit: '', targets: none },
    memory: { label: 'peak memory of what reads', unit: 'MB', targets: [{ against: 'nothing', atMost: 80 }] },
    cpu: { label: 'its CPU time for each GiB', unit: 'ms', targets: [{ against: 'pm2', below: 0.5 }] },
  },
};

export const measure = ({ sides, rounds }) =>
  withWriter((writing) =>
    withOpen(sides, async (opened) => {
      const managed = opened.filter(({ name }) => name !== 'bare');
      // The first app starts what reads.
      for (const side of managed) await side.run(['start', 'sleep 1000', '--name', 'first']);
      const samples = await interleave(opened, rounds, async (side) => {
        const how = { ...writing, count: COUNT, instances: 1 };
        if (!managed.includes(side)) {
          const lines = await writeBare({ ...how, chunk: 0 });
          return { lines, chunks: await writeBare({ ...how, chunk: 4096 }) };
        }
        const look = ([log]) => {
          const { lost, doubled, torn, disordered } = checkLines(log, COUNT);
          return { wrong: lost + doubled + torn + disordered };
        };
        const pids = side.logPids();
        const before = cpuTime(pids);
        const { lines, wrong } = await writeManaged(side, { ...how, chunk: 0, look });
        const cpu = ((cpuTime(pids) - before) / (COUNT * LINE_BYTES)) * GIB;
        const memory = peakMemory(pids);
        const bulk = await writeManaged(side, { ...how, chunk: 4096, look });
        return { lines, cpu, memory, chunks: bulk.lines, wrong: wrong + bulk.wrong };
      });
      samples.reader = { bare: [] };
      for (let round = 0; round < rounds; round += 1)
        samples.reader.bare.push(
          await writeBare({ ...writing, count: COUNT, chunk: 0, instances: 1, throughPipes: true }),
        );
      return samples;
    }),
  );
