import assert from 'node:assert/strict';
import { statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { isFirstSinceBoot } from '../../src/platform/boot-id.ts';
import { tempFolder } from '../fakes/temp-folder.ts';

test('only the first call since the machine started is the first', (t) => {
  const path = join(tempFolder(t), 'booted');
  assert.deepEqual([isFirstSinceBoot(path), isFirstSinceBoot(path)], [true, false]);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  writeFileSync(path, 'another boot');
  assert.deepEqual([isFirstSinceBoot(path), isFirstSinceBoot(path)], [true, false]);
});
