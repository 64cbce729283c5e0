import { setTimeout as sleep } from 'node:timers/promises';
import { interleave } from '../lib/interleave.mjs';
import { bytesOf, checkLines, whyNoWriter, withWriter, writeManaged } from '../lib/log-lines.mjs';
import { commandLine, hasProc, killHard } from '../lib/processes.mjs';
import { withOpen } from '../lib/sides.mjs';

const COUNT = 1_500_000;
const LINE_BYTES = 92;
const KILLS = 3;
/** As much as one read takes, and the lines on either side of it. */
const CHUNK_LINES = Math.ceil((64 * 1024) / LINE_BYTES) + 2;
const FLAGS = ['--log-max-size', '4M', '--log-retain', 'all', '--log-max-total', '0', '--log-max-total-all', '0'];
const none = [{ against: 'nothing', atMost: 0 }];

export const about = {
  rounds: 5,
  missing: async () => (hasProc ? whyNoWriter() : 'processes are found in /proc, which only Linux has'),
  measures: {
    daemon: { label: `rotation, daemon killed ${KILLS} times: lines lost, doubled, torn`, unit: '', targets: none },
    wrong: { label: `supervisor killed ${KILLS} times: lines doubled, torn, out of order`, unit: '', targets: none },
    lost: {
      label: 'lines lost at each of these kills',
      unit: '',
      targets: [{ against: 'nothing', atMost: CHUNK_LINES }],
    },
    untold: { label: 'kills of which the log says nothing', unit: '', targets: none },
  },
};

export const measure = ({ sides, rounds }) =>
  withWriter((writing) =>
    withOpen(
      sides.filter(({ name }) => name === 'upkeep'),
      async (opened) => {
        for (const side of opened) await side.run(['start', 'sleep 1000', '--name', 'first']);
        return interleave(opened, rounds, async (side) => {
          const how = { ...writing, count: COUNT, chunk: 4096, instances: 1, flags: FLAGS };
          const killing = (find) => async (log) => {
            for (let kill = 1; kill <= KILLS; kill += 1) {
              while (bytesOf(log) < (COUNT * LINE_BYTES * kill) / (KILLS + 1)) await sleep(2);
              const before = find(side);
              killHard(before);
              while (!find(side).some((pid) => !before.includes(pid))) await sleep(2);
            }
          };
          const look = ([log]) => checkLines(log, COUNT);
          const daemon = await writeManaged(side, { ...how, meanwhile: killing(daemonsOf), look });
          const reader = await writeManaged(side, { ...how, meanwhile: killing((of) => of.logPids()), look });
          return {
            daemon: daemon.lost + daemon.doubled + daemon.torn,
            wrong: reader.doubled + reader.torn + reader.disordered,
            lost: reader.lost / KILLS,
            untold: Math.max(0, KILLS - reader.gaps),
          };
        });
      },
    ),
  );

const daemonsOf = (side) => side.allPids().filter((pid) => commandLine(pid).startsWith('upkeep daemon'));
