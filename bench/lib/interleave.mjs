/**
 * Samples every side once per round, so that what else the machine does meets all alike. Each round begins with
 * another side, so that none always follows the same one. `sample` returns one number per measure.
 */
export const interleave = async (sides, rounds, sample) => {
  const samples = {};
  for (let round = 0; round < rounds; round += 1) {
    const first = round % sides.length;
    for (const side of [...sides.slice(first), ...sides.slice(0, first)]) {
      const figures = await sample(side);
      for (const [measure, value] of Object.entries(figures)) {
        samples[measure] ??= {};
        samples[measure][side.name] ??= [];
        samples[measure][side.name].push(value);
      }
    }
  }
  return samples;
};
