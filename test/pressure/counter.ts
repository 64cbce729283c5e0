import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fixture, type Sandbox } from '../e2e/harness.ts';
import { until } from '../e2e/until.ts';

/** Starts an app that says how far it has come, also while nobody reads what it prints. */
export async function startCounter(box: Sandbox): Promise<() => number> {
  const path = join(box.cwd, 'count');
  await box.ok('start', fixture('counts-lines.js'), '--name', 'counter', '--', path);
  // Made here, too, where the app has not come so far.
  const count = () => Number(readFileSync(path, { encoding: 'utf8', flag: 'a+' }));
  await until(count, 'the first line');
  return count;
}
