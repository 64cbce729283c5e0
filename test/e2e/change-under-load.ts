import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { Load } from './clients.ts';
import { fixture, type Sandbox, sandbox } from './harness.ts';
import { selfSigned } from './secure.ts';
import { until } from './until.ts';

/** Short loads during every kind of change; the long ones are in bench/. */

export const small = (index: number): string => `/bytes/${(index * 37) % 5000}`;
export const chunked = (index: number): string => `/chunks/${(index * 53) % 20_000}`;
export const slow = (index: number): string => `/slow/${100 + ((index * 131) % 400)}`;

/** Starts a fixture of load/ as `web`. */
export async function start(t: TestContext, app: string, ...flags: string[]): Promise<Sandbox> {
  const box = await sandbox(t);
  Object.assign(box.env, selfSigned(box.cwd));
  await box.ok('start', fixture(`load/${app}.js`), '--name', 'web', ...flags);
  return box;
}

/** Reload, scale and restart of one, once each client has had answers. */
export async function change(box: Sandbox, load: Load, rounds = 2): Promise<void> {
  const answered = async (more: number): Promise<void> => {
    const before = load.answers;
    await until(() => load.answers >= before + more, `${more} more answers`);
  };
  for (let round = 0; round < rounds; round++) {
    await answered(20);
    await box.ok('reload', 'web');
  }
  await box.ok('scale', 'web', '+2');
  await answered(20);
  await box.ok('scale', 'web', '-2');
  const rows = await box.app('web');
  if (rows.length > 1) await box.ok('restart', String(rows[0]?.id));
  await answered(20);
}

export async function failsNothing(load: Load): Promise<void> {
  const { failures, answers } = await load.stop();
  assert.deepEqual(failures, []);
  assert.ok(answers > 50, `only ${answers} answers`);
}
