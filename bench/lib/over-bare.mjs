/**
 * What a manager costs: its own processes, plus what the apps take more than the same apps run bare.
 * Rounds are paired: each is compared with the bare apps of that round.
 */
export const overBare = ({ managers, apps }) => {
  const samples = { managers: {}, apps: {}, total: {} };
  for (const side of Object.keys(managers)) {
    if (side === 'bare') continue;
    samples.managers[side] = managers[side];
    samples.apps[side] = apps[side].map((value, round) => value - apps.bare[round]);
    samples.total[side] = managers[side].map((value, round) => value + samples.apps[side][round]);
  }
  return samples;
};
