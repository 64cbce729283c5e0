import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileLedger } from '../../src/platform/ledger.ts';
import { tempFolder } from '../fakes/temp-folder.ts';

const ENTRIES = new Map<string, unknown>([
  ['app k1', { key: 'k1', name: 'Grüße 🎉\n' }],
  ['place 0', { run: { pid: 100, startTime: '5' } }],
  ['place 1', { run: { pid: 200, startTime: '6' } }],
]);

/** The path of a ledger with these entries, and one that was removed. */
function written(t: TestContext): string {
  const path = join(tempFolder(t), 'ledger');
  const ledger = fileLedger(path);
  ledger.write('place 9', 1);
  for (const [key, entry] of ENTRIES) ledger.write(key, entry);
  ledger.write('place 9', null);
  return path;
}

test('is read as it was written', (t) => {
  assert.deepEqual(fileLedger(written(t)).read(), ENTRIES);
});

test('that is cut anywhere, or has any bit changed, tells nothing that was not written', (t) => {
  const path = written(t);
  const all = readFileSync(path);
  // Nothing but room follows.
  const bytes = all.subarray(0, all.lastIndexOf('\n') + 10);
  const look = (content: Buffer, what: string): void => {
    writeFileSync(path, content);
    for (const [key, entry] of fileLedger(path).read()) {
      // An entry may be missing, or be there still where the line that removes it is damaged.
      assert.deepEqual(entry, key === 'place 9' ? 1 : ENTRIES.get(key), what);
    }
  };
  for (let length = 0; length < bytes.length; length++) look(bytes.subarray(0, length), `cut at ${length}`);
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const changed = Buffer.from(bytes);
    changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
    look(changed, `bit ${bit}`);
  }
});

test('one whose line is damaged keeps the others, and goes on', (t) => {
  const path = written(t);
  const lines = readFileSync(path, 'utf8').split('\n');
  lines[3] = lines[3]?.replace('100', '101') ?? '';
  writeFileSync(path, lines.join('\n'));
  const ledger = fileLedger(path);
  assert.deepEqual([...ledger.read().keys()], ['app k1', 'place 1']);
  ledger.write('place 2', {});
  assert.deepEqual([...fileLedger(path).read().keys()], ['app k1', 'place 1', 'place 2']);
});

test('what is known already is not written again', (t) => {
  const path = join(tempFolder(t), 'ledger');
  const ledger = fileLedger(path);
  ledger.write('place 0', { run: 1 });
  const before = readFileSync(path);
  for (let round = 0; round < 100; round++) ledger.write('place 0', { run: 1 });
  assert.ok(readFileSync(path).equals(before));
});

test('many entries are read as the last of each was written', (t) => {
  const path = join(tempFolder(t), 'ledger');
  const ledger = fileLedger(path);
  for (let round = 0; round < 3000; round++) {
    ledger.write(`place ${round % 7}`, { round, text: 'ü'.repeat(round % 500) });
    if (round % 100 === 0) assert.equal(fileLedger(path).read().size, Math.min(round + 1, 7));
  }
  const rounds = [...fileLedger(path).read().values()].map((entry) => (entry as { round: number }).round);
  assert.deepEqual(
    rounds.toSorted((a, b) => a - b),
    [2993, 2994, 2995, 2996, 2997, 2998, 2999],
  );
});

test('a folder in its place is as good as none, and is told at a write', (t) => {
  const path = join(tempFolder(t), 'ledger');
  mkdirSync(join(path, 'in the way'), { recursive: true });
  const ledger = fileLedger(path);
  assert.deepEqual(ledger.read(), new Map());
  assert.throws(() => ledger.write('place 0', {}), { code: 'EISDIR' });
  ledger.remove();
  ledger.write('place 0', {});
  assert.equal(fileLedger(path).read().size, 1);
});
