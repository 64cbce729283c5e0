import assert from 'node:assert/strict';
import { readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { bootstrapFile, forgetBootstraps, unlessAway } from '../../src/platform/bootstrap-file.ts';
import type { ProcessEvent } from '../../src/supervisor/ports.ts';
import { tempFolder } from '../fakes/temp-folder.ts';

const OWN = { uid: null, gid: null };
const OTHER = { uid: 1, gid: 1 };

test('an app loads a copy of what its supervisor came with, whatever becomes of the package', (t) => {
  const folder = tempFolder(t);
  const packaged = join(folder, 'packaged.cjs');
  const run = join(folder, 'run');
  symlinkSync(tempFolder(t), run);
  writeFileSync(packaged, 'first');
  const pathFor = bootstrapFile(packaged, run);
  assert.equal(pathFor(OTHER), packaged);
  rmSync(packaged);
  const copy = pathFor(OWN);
  assert.equal(readFileSync(copy, 'utf8'), 'first');
  assert.equal(statSync(copy).mode & 0o777, 0o600);
  assert.ok(!copy.startsWith(run), 'links are resolved');
  assert.throws(() => pathFor(OTHER), /packaged\.cjs is not there/);

  for (const spoil of [() => rmSync(copy), () => writeFileSync(copy, '')]) {
    spoil();
    assert.equal(readFileSync(pathFor(OWN), 'utf8'), 'first');
  }
  writeFileSync(packaged, 'second');
  assert.notEqual(bootstrapFile(packaged, run)(OWN), copy, 'both versions are in use');
  assert.equal(readFileSync(copy, 'utf8'), 'first');
  forgetBootstraps(run);
  assert.deepEqual(readdirSync(run), []);
});

test('without a folder to write to it is the one of the package', (t) => {
  const packaged = join(tempFolder(t), 'packaged.cjs');
  writeFileSync(packaged, 'text');
  assert.equal(bootstrapFile(packaged, join(packaged, 'none'))(OWN), packaged);
});

test('a process that ends as its bootstrap is away says nothing of the app', (t) => {
  const bootstrap = join(tempFolder(t), 'bootstrap.cjs');
  const exited: ProcessEvent = { kind: 'exited', exit: { code: 1, signal: null }, treeAlive: false };
  const told = (...events: ProcessEvent[]): string[] => {
    const kinds: string[] = [];
    const on = unlessAway(bootstrap, (event) => kinds.push(event.kind));
    for (const event of events) on(event);
    return kinds;
  };
  const spawned: ProcessEvent = { kind: 'spawned', run: { pid: 1, startTime: '', token: null } };
  assert.deepEqual(told(spawned, exited), ['spawned', 'spawn-failed']);
  assert.deepEqual(told(spawned, { kind: 'main-ran' }, exited), ['spawned', 'main-ran', 'exited']);
  writeFileSync(bootstrap, '');
  assert.deepEqual(told(spawned, exited), ['spawned', 'exited']);
});
