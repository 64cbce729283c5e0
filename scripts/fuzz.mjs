// npm run fuzz -- [--minutes 10] [--only frames] [--seed 1] [--at 2]: the fuzz tests, for longer. See docs/reliability.md.
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';

/** That many campaigns share the time, two at a time. */
const CAMPAIGNS = 7;

const options = {
  minutes: { type: 'string' },
  only: { type: 'string' },
  seed: { type: 'string' },
  at: { type: 'string' },
};
const { minutes = '10', only = '', seed, at } = parseArgs({ options }).values;
const ms = Math.round(Number(minutes) * 60_000 * (only === '' ? 2 / CAMPAIGNS : 1));
if (!(ms > 0)) {
  console.error(`--minutes: expected a number above 0, got ${minutes}`);
  process.exit(2);
}
Object.assign(process.env, {
  UPKEEP_FUZZ_MS: String(ms),
  UPKEEP_FUZZ_ONLY: only,
  // `npm test` has the same one each time.
  UPKEEP_FUZZ_SEED: seed ?? String(randomInt(2 ** 31)),
  ...(at === undefined ? {} : { UPKEEP_FUZZ_AT: at }),
  // Of a file, which may hold two campaigns.
  TEST_TIMEOUT_MS: String(3 * ms + 120_000),
});
const [file] = only.split('/');
process.argv.splice(2, Infinity, 'fuzz', file);
await import('./test.mjs');
