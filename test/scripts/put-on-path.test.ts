import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { tempFolder } from '../fakes/temp-folder.ts';

interface PutOnPath {
  readonly putOnPath: (
    program: string,
    path: readonly string[],
    folders: readonly string[],
  ) => { readonly name: string; readonly notes: readonly string[] };
}
const { putOnPath } = (await import(
  pathToFileURL(join(process.cwd(), 'scripts', 'put-on-path.mjs')).href
)) as PutOnPath;

/** A program, and two folders: one for users' commands, one of a toolchain. */
function folders(t: TestContext) {
  const root = tempFolder(t);
  const [program, bin, toolchain] = ['upkeep.cjs', 'bin', 'toolchain'].map((name) => join(root, name)) as [
    string,
    string,
    string,
  ];
  writeFileSync(program, '');
  for (const folder of [bin, toolchain]) mkdirSync(folder);
  return { program, bin, toolchain };
}

test('a link is made in a folder for users’ commands, not in what comes first on PATH', (t) => {
  const { program, bin, toolchain } = folders(t);
  const { name, notes } = putOnPath(program, [toolchain, bin], [bin]);
  assert.equal(name, 'upkeep');
  assert.equal(readlinkSync(join(bin, 'upkeep')), program);
  assert.ok(!existsSync(join(toolchain, 'upkeep')));
  assert.match(notes.join(), /upkeep is now on PATH: .*; rm .*\/bin\/upkeep takes it away/);
  assert.deepEqual(putOnPath(program, [toolchain, bin], [bin]), { name: 'upkeep', notes: [] });
});

test('a folder that is not on PATH gets none, and the way to call upkeep is told', (t) => {
  const { program, bin, toolchain } = folders(t);
  const { name, notes } = putOnPath(program, [toolchain], [bin]);
  assert.equal(name, `node ${program}`);
  assert.match(notes.join(), /is not on PATH/);
  assert.ok(!existsSync(join(bin, 'upkeep')));
});

test('another upkeep that comes first is left alone, and named', (t) => {
  const { program, bin, toolchain } = folders(t);
  for (const other of [toolchain, bin]) {
    writeFileSync(join(other, 'upkeep'), '');
    const { name, notes } = putOnPath(program, [toolchain, bin], [bin]);
    assert.equal(name, `node ${program}`);
    assert.match(notes.join(), /\/toolchain\/upkeep is another upkeep, and first on PATH: remove it/);
  }
});

test('another upkeep that comes later is no matter, and a link that leads nowhere is replaced', (t) => {
  const { program, bin, toolchain } = folders(t);
  writeFileSync(join(toolchain, 'upkeep'), '');
  symlinkSync(join(bin, 'nothing'), join(bin, 'upkeep'));
  assert.equal(putOnPath(program, [bin, toolchain], [bin]).name, 'upkeep');
  assert.equal(readlinkSync(join(bin, 'upkeep')), program);
});
