import { sideNames } from './sides.mjs';
import { median, quantile } from './statistics.mjs';

const COLUMNS = ['case', 'measure', ...sideNames, 'upkeep/pm2', 'upkeep/bare', 'target', 'result'];

/** One row per measure of a case: medians, quartiles, ratios and whether the targets are met. */
export const toRows = (name, { measures }, samples) =>
  Object.entries(measures)
    .filter(([key]) => samples[key])
    .map(([key, { label, unit, targets = [] }]) => {
      const sides = {};
      for (const [side, values] of Object.entries(samples[key])) {
        const [low, high] = [quantile(values, 0.25), quantile(values, 0.75)];
        sides[side] = { median: median(values), low, high, samples: values };
      }
      const ratio = (against) =>
        sides.upkeep && sides[against]?.median ? sides.upkeep.median / sides[against].median : undefined;
      return {
        case: name,
        measure: label,
        unit,
        sides,
        ratios: { pm2: ratio('pm2'), bare: ratio('bare') },
        targets: targets.map((target) => ({ ...target, result: judge(target, sides, ratio(target.against)) })),
      };
    });

export const toTable = (rows) => {
  const lines = rows.map((row, index) => [
    rows[index - 1]?.case === row.case ? '' : row.case,
    `${row.measure}, ${row.unit}`,
    ...sideNames.map((side) => figure(row.sides[side])),
    row.ratios.pm2?.toFixed(2) ?? '-',
    row.ratios.bare?.toFixed(2) ?? '-',
    row.targets.map(wording).join(', '),
    row.targets.flatMap(({ result }) => result ?? []).join(', '),
  ]);
  const all = [COLUMNS, ...lines];
  const widths = COLUMNS.map((_, column) => Math.max(...all.map((line) => line[column].length)));
  const text = ([first, measure, ...rest]) => {
    const cells = rest.map((cell, index) => {
      const width = widths[index + 2];
      return index + 2 < COLUMNS.length - 2 ? cell.padStart(width) : cell.padEnd(width);
    });
    return [first.padEnd(widths[0]), measure.padEnd(widths[1]), ...cells].join('  ').trimEnd();
  };
  return all.map(text).join('\n');
};

const judge = ({ against, below, atMost, atLeast }, sides, ratio) => {
  // A figure that is to be reached by itself.
  if (against === 'nothing') return sides.upkeep && (sides.upkeep.median <= atMost ? 'met' : 'MISSED');
  if (ratio === undefined) return undefined;
  if (below !== undefined) return ratio < below ? 'met' : 'MISSED';
  if (atMost !== undefined) return ratio <= atMost ? 'met' : 'MISSED';
  if (ratio >= atLeast) return 'met';
  // Equal is the best one can hope for here, so half of all runs fall short by chance.
  return sides.upkeep.high >= sides[against].low * atLeast ? 'within noise' : 'MISSED';
};

const wording = ({ against, below, atMost, atLeast }) => {
  if (against === 'nothing') return `<=${atMost}`;
  if (below !== undefined) return `<${below} ${against}`;
  return atMost === undefined ? `>=${atLeast} ${against}` : `<=${atMost} ${against}`;
};

const figure = (side) => (side === undefined ? '-' : `${short(side.median)} (${short(side.low)}..${short(side.high)})`);

const short = (value) => value.toFixed(Math.abs(value) < 10 ? 2 : Math.abs(value) < 100 ? 1 : 0);
