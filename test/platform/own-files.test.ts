import assert from 'node:assert/strict';
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { keepOwnFiles } from '../../src/platform/own-files.ts';
import { tempFolder } from '../fakes/temp-folder.ts';

function kept(t: TestContext) {
  const folder = join(tempFolder(t), 'run');
  const file = join(folder, 'sock');
  const told: string[] = [];
  const state = { made: 0, lost: false, failure: null as Error | null };
  const make = async (): Promise<void> => {
    if (state.failure) throw state.failure;
    mkdirSync(folder, { recursive: true });
    writeFileSync(file, '');
    state.made++;
  };
  mkdirSync(folder);
  writeFileSync(file, '');
  const files = keepOwnFiles(
    [folder, file],
    () => state.lost,
    make,
    (line) => told.push(line),
  );
  const look = async (): Promise<void> => {
    files.look();
    await new Promise(setImmediate);
  };
  return { folder, file, told, state, look };
}

test('files that are as they were are left alone', async (t) => {
  const { state, told, look } = kept(t);
  await look();
  assert.deepEqual([state.made, told], [0, []]);
});

test('what was removed, or stands there instead, is made again, and that is told', async (t) => {
  const { folder, file, state, told, look } = kept(t);
  rmSync(folder, { recursive: true });
  await look();
  await look();
  assert.deepEqual([state.made, told.length], [1, 1]);
  writeFileSync(`${file}.other`, '');
  renameSync(`${file}.other`, file);
  await look();
  await look();
  assert.deepEqual([state.made, told.length], [2, 2]);
  state.lost = true;
  await look();
  assert.equal(state.made, 3);
});

test('what cannot be made again is told once, and tried again until it can', async (t) => {
  const { folder, state, told, look } = kept(t);
  rmSync(folder, { recursive: true });
  state.failure = new Error('EROFS');
  await look();
  await look();
  assert.deepEqual([state.made, told.length, told[1]], [0, 2, 'cannot make them again: EROFS; it is tried again']);
  state.failure = null;
  await look();
  await look();
  assert.equal(state.made, 1);
});
