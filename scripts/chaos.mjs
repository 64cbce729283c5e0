// npm run chaos [-- --minutes 30 --seed 1]: runs the chaos tests for longer, or one of their runs again.
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';

const { values } = parseArgs({ options: { minutes: { type: 'string' }, seed: { type: 'string' } } });
const { env } = process;
if (values.minutes !== undefined) env.CHAOS_MINUTES = values.minutes;
// `npm test` has the same one each time.
env.CHAOS_SEED = values.seed ?? String(randomInt(2 ** 31));
env.TEST_TIMEOUT_MS = String((Number(values.minutes ?? 1) + 2) * 60_000);
process.argv.splice(2, Infinity, 'chaos', 'chaos/chaos');
await import('./test.mjs');
