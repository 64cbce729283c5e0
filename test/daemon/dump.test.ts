import assert from 'node:assert/strict';
import { readdirSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Dump } from '../../src/daemon/dump.ts';
import { appRecord, appSpec } from '../fakes/app-spec.ts';
import { tempFolder } from '../fakes/temp-folder.ts';

const one = [appRecord(appSpec({ name: 'one' }))];
const two = [...one, appRecord(appSpec({ name: 'two' }), { key: 'k2', firstId: 1 })];
const dumpOf = (t: TestContext): Dump => new Dump(join(tempFolder(t), 'dump.json'));

test('is nothing at first, and nothing may be saved then', async (t) => {
  const dump = dumpOf(t);
  const found = async () => {
    const { apps, problem } = await dump.load();
    return { apps, problem };
  };
  assert.deepEqual(await found(), { apps: [], problem: null });
  await dump.replace([], false);
  assert.deepEqual(await found(), { apps: [], problem: null });
});

test('keeps the one before, for the owner only', async (t) => {
  const dump = dumpOf(t);
  await dump.replace(one, false);
  await dump.replace(two, false);
  assert.deepEqual((await dump.load()).apps, two);
  assert.deepEqual(readdirSync(dirname(dump.path)).toSorted(), ['dump.json', 'dump.json.1']);
  assert.equal(statSync(dump.path).mode & 0o777, 0o600);
  writeFileSync(dump.path, 'torn');
  const { apps, problem } = await dump.load();
  assert.deepEqual(apps, one);
  assert.match(problem ?? '', /dump\.json is damaged/);
});

test('that is damaged does not replace the good one before it', async (t) => {
  const dump = dumpOf(t);
  await dump.replace(one, false);
  await dump.replace(two, false);
  writeFileSync(dump.path, 'torn');
  await assert.rejects(dump.replace([], false), { code: 'LIST_EMPTY' });
  await dump.replace([], true);
  writeFileSync(dump.path, 'torn');
  assert.deepEqual((await dump.load()).apps, one);
});

test('saves at once come one after the other, whatever becomes of them', async (t) => {
  const dump = dumpOf(t);
  const results = await Promise.allSettled([one, [], two].map((apps) => dump.replace(apps, false)));
  assert.deepEqual(
    results.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled'],
  );
  assert.deepEqual((await dump.load()).apps, two);
});
