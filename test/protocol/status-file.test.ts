import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { resolveHome } from '../../src/protocol/home.ts';
import { readStatus, removeStatus, STATUS_EVERY_MS, writeStatus } from '../../src/protocol/status-file.ts';
import { tempFolder } from '../fakes/temp-folder.ts';

const linux = { skip: process.platform === 'linux' ? false : 'needs /proc' };
const NOW = 1_000_000;

test('what a daemon that lives wrote lately is believed', linux, (t) => {
  const home = resolveHome({ UPKEEP_HOME: tempFolder(t) });
  mkdirSync(home.run);
  assert.equal(readStatus(home, NOW), null, 'nothing was written');
  writeStatus(home, [], NOW);
  assert.deepEqual(readStatus(home, NOW + STATUS_EVERY_MS), []);
  assert.equal(readStatus(home, NOW + 2 * STATUS_EVERY_MS), null, 'its daemon hangs');
  assert.equal(readStatus(home, NOW - 1), null, 'the clock was set back');
  removeStatus(home);
  assert.equal(readStatus(home, NOW), null);
});

test('what a daemon that is gone wrote, or is no status at all, is not', linux, (t) => {
  const home = resolveHome({ UPKEEP_HOME: tempFolder(t) });
  mkdirSync(home.run);
  writeStatus(home, [], NOW);
  const written = JSON.parse(readFileSync(home.status, 'utf8')) as Record<string, unknown>;
  for (const other of [{ startTime: '1' }, { pid: 2 ** 30 }]) {
    writeFileSync(home.status, JSON.stringify({ ...written, ...other }));
    assert.equal(readStatus(home, NOW), null);
  }
  writeFileSync(home.status, '{"at":');
  assert.equal(readStatus(home, NOW), null);
});
