// npm run chaos [-- --minutes 30 --seed 1]: runs the chaos tests for longer, or one of their runs again.
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';

const { values } = parseArgs({ options: { minutes: { type: 'string' }, seed: { type: 'string' } } });
const env = { ...process.env };
if (values.minutes !== undefined) env.CHAOS_MINUTES = values.minutes;
if (values.seed !== undefined) env.CHAOS_SEED = values.seed;
env.TEST_TIMEOUT_MS = String((Number(values.minutes ?? 1) + 2) * 60_000);
const script = join(dirname(import.meta.dirname), 'scripts', 'test.mjs');
process.exit(spawnSync(process.execPath, [script, 'chaos', 'chaos/chaos'], { stdio: 'inherit', env }).status ?? 1);
