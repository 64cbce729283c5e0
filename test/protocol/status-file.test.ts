import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { doubled, halved } from '../../src/protocol/doubled.ts';
import { type Home, resolveHome } from '../../src/protocol/home.ts';
import { readStatus, removeStatus, STATUS_EVERY_MS, writeStatus } from '../../src/protocol/status-file.ts';
import { tempFolder } from '../fakes/temp-folder.ts';

const linux = { skip: process.platform === 'linux' ? false : 'needs /proc' };
const NOW = { wall: 1_700_000_000_000, elapsed: 1_000_000 };
/** Some time later, with the wall clock set by something besides. */
const later = (ms: number, setBy = 0) => ({ wall: NOW.wall + ms + setBy, elapsed: NOW.elapsed + ms });
const LISTING = { instances: [], problems: ['a disk is full'] };

function madeHome(t: TestContext): Home {
  const home = resolveHome({ UPKEEP_HOME: tempFolder(t) });
  mkdirSync(home.run);
  return home;
}

test('what a daemon that lives wrote lately is believed', linux, (t) => {
  const home = madeHome(t);
  assert.equal(readStatus(home, NOW), null, 'nothing was written');
  writeStatus(home, LISTING, NOW);
  assert.deepEqual(readStatus(home, later(STATUS_EVERY_MS)), LISTING);
  assert.equal(readStatus(home, later(2 * STATUS_EVERY_MS)), null, 'its daemon hangs');
  assert.equal(readStatus(home, later(-1)), null, 'of another start of the machine');
  for (const setBy of [3_600_000, -3_600_000]) {
    assert.equal(readStatus(home, later(1000, setBy)), null, 'its times are wrong: the clock was set');
    assert.equal(readStatus(home, later(2 * STATUS_EVERY_MS, setBy)), null, 'and that does not make it new');
  }
  removeStatus(home);
  assert.equal(readStatus(home, NOW), null);
});

test('what a daemon that is gone, or of another version, wrote is not', linux, (t) => {
  const home = madeHome(t);
  writeStatus(home, LISTING, NOW);
  const written = JSON.parse(String(halved(readFileSync(home.status)))) as Record<string, unknown>;
  for (const other of [{ startTime: '1' }, { pid: 2 ** 30 }, { version: '0.0.1' }]) {
    writeFileSync(home.status, doubled(Buffer.from(JSON.stringify({ ...written, ...other }))));
    assert.equal(readStatus(home, NOW), null);
  }
});

test('what is cut anywhere, or has any bit changed, is not', linux, (t) => {
  const home = madeHome(t);
  writeStatus(home, LISTING, NOW);
  const bytes = readFileSync(home.status);
  for (let length = 0; length < bytes.length; length++) {
    writeFileSync(home.status, bytes.subarray(0, length));
    assert.equal(readStatus(home, NOW), null, `cut at ${length}`);
  }
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const changed = Buffer.from(bytes);
    changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
    writeFileSync(home.status, changed);
    assert.equal(readStatus(home, NOW), null, `bit ${bit}`);
  }
});

test('what is no status at all is not', linux, (t) => {
  const home = madeHome(t);
  for (const text of ['', '{"at":', 'null', '{}', '[]', '1', '{"at":0,"instances":1}']) {
    writeFileSync(home.status, doubled(Buffer.from(text)));
    assert.equal(readStatus(home, NOW), null, text);
  }
  rmSync(home.status);
  mkdirSync(home.status);
  assert.equal(readStatus(home, NOW), null);
});

test('one that cannot be written leaves no older one', linux, (t) => {
  const home = madeHome(t);
  writeStatus(home, LISTING, NOW);
  mkdirSync(`${home.status}.tmp`);
  assert.throws(() => writeStatus(home, LISTING, NOW));
  assert.equal(readStatus(home, NOW), null);
  writeStatus(home, LISTING, NOW);
  assert.deepEqual(readStatus(home, NOW), LISTING);
});
