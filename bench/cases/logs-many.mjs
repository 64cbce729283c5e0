import { interleave } from '../lib/interleave.mjs';
import { checkLines, whyNoWriter, withWriter, writeBare, writeManaged } from '../lib/log-lines.mjs';
import { withOpen } from '../lib/sides.mjs';

const APPS = 8;
const COUNT = 250_000;

export const about = {
  rounds: 5,
  needsBare: true,
  missing: whyNoWriter,
  measures: {
    lines: {
      label: `${APPS} apps at once; bare is the least that reads named pipes`,
      unit: '/s',
      targets: [{ against: 'bare', atLeast: 0.8 }],
    },
    wrong: { label: 'lines lost, doubled or torn', unit: '', targets: [{ against: 'nothing', atMost: 0 }] },
  },
};

export const measure = ({ sides, rounds }) =>
  withWriter((writing) =>
    withOpen(sides, (opened) =>
      interleave(opened, rounds, async (side) => {
        const how = { ...writing, count: COUNT, chunk: 0, instances: APPS };
        if (side.name === 'bare') return { lines: await writeBare({ ...how, throughPipes: true }) };
        const look = (logs) => {
          const reports = logs.map((log) => checkLines(log, COUNT));
          return { wrong: reports.reduce((sum, { lost, doubled, torn }) => sum + lost + doubled + torn, 0) };
        };
        return writeManaged(side, { ...how, look });
      }),
    ),
  );
