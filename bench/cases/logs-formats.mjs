import { interleave } from '../lib/interleave.mjs';
import { checkLines, whyNoWriter, withWriter, writeManaged } from '../lib/log-lines.mjs';
import { withOpen } from '../lib/sides.mjs';

const COUNT = 1_000_000;
const FORMATS = [
  { name: 'plain', flags: [], message: (line) => line },
  {
    name: 'time',
    flags: ['--log-date-format', 'YYYY-MM-DDTHH:mm:ss.SSSZ'],
    message: (line) => line.replace(/^\S+: /, ''),
  },
  { name: 'json', flags: ['--log-type', 'json'], message: (line) => JSON.parse(line).message },
];
const target = [{ against: 'bare', atLeast: 0.7 }];

export const about = {
  rounds: 7,
  missing: whyNoWriter,
  measures: {
    time: { label: 'with the time; bare is plain', unit: '/s', targets: target },
    json: { label: 'as JSON; bare is plain', unit: '/s', targets: target },
    wrong: { label: 'lines lost, doubled or torn', unit: '', targets: [{ against: 'nothing', atMost: 0 }] },
  },
};

// Formats take the place of sides: what is compared is upkeep with itself.
export const measure = ({ sides, rounds }) =>
  withWriter((writing) =>
    withOpen(
      sides.filter(({ name }) => name === 'upkeep'),
      async ([side]) => {
        if (!side) return {};
        const samples = await interleave(FORMATS, rounds, async ({ flags, message }) => {
          const look = ([log]) => {
            const { lost, doubled, torn } = checkLines(log, COUNT, message);
            return { wrong: lost + doubled + torn };
          };
          return writeManaged(side, { ...writing, count: COUNT, chunk: 0, instances: 1, flags, look });
        });
        const { lines, wrong } = samples;
        return {
          time: { upkeep: lines.time, bare: lines.plain },
          json: { upkeep: lines.json, bare: lines.plain },
          wrong: { upkeep: Object.values(wrong).flat() },
        };
      },
    ),
  );
