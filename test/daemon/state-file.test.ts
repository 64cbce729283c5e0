import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { Journal } from '../../src/daemon/journal.ts';
import { openState } from '../../src/daemon/open-state.ts';
import { loadState, stateText } from '../../src/daemon/state-file.ts';
import type { AppRecord } from '../../src/protocol/messages.ts';
import { appRecord, appSpec } from '../fakes/app-spec.ts';
import { tempFolder } from '../fakes/temp-folder.ts';

const first = [appRecord(appSpec({ name: 'first', env: { TEXT: 'Grüße\n🎉 \uFFFD' } }))];
const second = [appRecord(appSpec({ name: 'second', instances: 2 }), { key: 'k2', firstId: 1 })];

const damaged = /^\/.*state\.json is damaged: its checksum does not match; the generation before it was taken$/;
const sum = (text: string) => createHash('sha256').update(text).digest('hex');

/** A home whose newest state is `apps`, and the one before it `first`. */
async function twoGenerations(t: TestContext, apps: readonly AppRecord[] = second) {
  const folder = tempFolder(t);
  const path = join(folder, 'state.json');
  await new Journal(path, () => first).save();
  await new Journal(path, () => apps).save();
  const open = async () => {
    const lines: string[] = [];
    return { ...(await openState(path, (line) => lines.push(line))), lines };
  };
  const aside = () => readdirSync(folder).filter((entry) => entry.includes('.bad-'));
  return { folder, path, bytes: readFileSync(path), open, aside };
}

async function takesTheOneBefore(path: string, what: string): Promise<void> {
  const { apps, complete, problem, unreadable } = await loadState(path);
  assert.deepEqual(apps, first, what);
  assert.equal(complete, false, what);
  assert.match(problem ?? '', damaged, what);
  assert.deepEqual(unreadable, [path], what);
}

describe('a state that is damaged', () => {
  test('by a cut at any byte', async (t) => {
    const { path, bytes } = await twoGenerations(t);
    for (let length = 0; length < bytes.length; length++) {
      writeFileSync(path, bytes.subarray(0, length));
      await takesTheOneBefore(path, `cut at byte ${length}`);
    }
  });

  test('by any bit that changed', async (t) => {
    const { path, bytes } = await twoGenerations(t);
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      writeFileSync(path, flipped(bytes, bit));
      await takesTheOneBefore(path, `bit ${bit}`);
    }
  });

  test('anywhere, when it is large', async (t) => {
    const many = Array.from({ length: 2000 }, (_, index) =>
      appRecord(appSpec({ name: `app ${index}`, env: { SECRET: 'ü'.repeat(index % 97) } }), {
        key: index.toString(36),
        firstId: index,
      }),
    );
    const { path, bytes } = await twoGenerations(t, many);
    assert.ok(bytes.length > 1024 ** 2);
    for (let sample = 0; sample < 50; sample++) {
      const at = Math.floor(((sample + 0.5) / 50) * bytes.length);
      writeFileSync(path, flipped(bytes, at * 8 + (sample % 8)));
      await takesTheOneBefore(path, `bit ${sample % 8} of byte ${at}`);
      writeFileSync(path, bytes.subarray(0, at));
      await takesTheOneBefore(path, `cut at byte ${at}`);
    }
  });

  test('by something after its end, or by a block of zeros', async (t) => {
    const { path, bytes } = await twoGenerations(t);
    for (const more of ['\n', ' ', '{}\n', bytes]) {
      writeFileSync(path, Buffer.concat([bytes, Buffer.from(more)]));
      await takesTheOneBefore(path, `followed by ${String(more).slice(0, 10)}`);
    }
    writeFileSync(path, Buffer.alloc(bytes.length));
    await takesTheOneBefore(path, 'zeros');
  });
});

describe('a state that cannot be used', () => {
  test('because it is missing is the one before', async (t) => {
    const { path } = await twoGenerations(t);
    rmSync(path);
    const { apps, complete, problem, unreadable } = await loadState(path);
    assert.deepEqual([apps, complete, unreadable], [first, false, []]);
    assert.match(problem ?? '', /is missing; the generation before it was taken$/);
  });

  test('with nothing before it, is empty, and told', async (t) => {
    const { path } = await twoGenerations(t);
    for (const file of [path, `${path}.1`]) writeFileSync(file, 'nonsense');
    const { apps, complete, problem, unreadable } = await loadState(path);
    assert.deepEqual([apps, complete, unreadable], [[], false, [path, `${path}.1`]]);
    assert.match(problem ?? '', /is damaged: .*; the one before it is damaged: /);
    rmSync(`${path}.1`);
    assert.match((await loadState(path)).problem ?? '', /is damaged: .*; there is no older one$/);
    rmSync(path);
    writeFileSync(`${path}.1`, 'nonsense');
    assert.match((await loadState(path)).problem ?? '', /is missing; the one before it is damaged: /);
  });

  test('because a newer upkeep wrote it says so', async (t) => {
    const { path } = await twoGenerations(t);
    const text = '{"format":2,"apps":{}}';
    writeFileSync(path, `${sum(text)}\n${text}\n`);
    const { apps, problem } = await loadState(path);
    assert.deepEqual(apps, first);
    assert.match(problem ?? '', /was written by a newer upkeep; the generation before it was taken$/);
  });

  test('because it is not what its checksum promises is of another format', async (t) => {
    const { path } = await twoGenerations(t);
    const noKey = JSON.stringify({ format: 1, apps: [{ ...first[0], key: 'NOT A KEY' }] });
    for (const text of ['not json', '', '[', '3', 'null', '{"format":1}', '{"format":"2"}', noKey]) {
      writeFileSync(path, `${sum(text)}\n${text}\n`);
      const { apps, problem } = await loadState(path);
      assert.deepEqual(apps, first, text);
      assert.match(problem ?? '', /is of another format; the generation before it was taken$/);
    }
  });

  test('because it is no file says so', async (t) => {
    const { path } = await twoGenerations(t);
    rmSync(path);
    mkdirSync(join(path, 'in the way'), { recursive: true });
    const { apps, problem } = await loadState(path);
    assert.deepEqual(apps, first);
    assert.match(problem ?? '', /cannot be read: EISDIR/);
  });

  test('because it is not ours to read says so', async (t) => {
    if (process.getuid?.() === 0) return t.skip('root may read anything');
    const { path } = await twoGenerations(t);
    for (const file of [path, `${path}.1`]) chmodSync(file, 0);
    const { problem, unreadable } = await loadState(path);
    assert.match(problem ?? '', /cannot be read: EACCES.*; the one before it cannot be read: EACCES/);
    assert.deepEqual(unreadable, [path, `${path}.1`]);
  });
});

describe('what could not be read', () => {
  test('is told, stays while nothing changes, and is put aside by the next save', async (t) => {
    const { path, open, aside } = await twoGenerations(t);
    writeFileSync(path, 'nonsense');
    for (const _ of [1, 2]) {
      const { registry, journal, complete, lines } = await open();
      assert.deepEqual([registry.apps, complete], [first, false]);
      assert.match(lines.join('\n'), damaged);
      assert.match(
        journal.problems.join('\n'),
        /^the list of apps may be incomplete: .*is damaged.*\. The next change keeps that file aside$/,
      );
      assert.equal(readFileSync(path, 'utf8'), 'nonsense');
    }
    const older = readFileSync(`${path}.1`);
    const { registry, journal } = await open();
    registry.add(appSpec({ name: 'later' }), 1);
    await journal.save();
    assert.deepEqual(aside().length, 1);
    const [file = ''] = aside().map((entry) => join(path, '..', entry));
    assert.equal(readFileSync(file, 'utf8'), 'nonsense');
    assert.deepEqual(readFileSync(`${path}.1`), older, 'the good one before it stays');
    assert.deepEqual(journal.problems, [
      `the list of apps may be incomplete: ${file} could not be read. See that nothing is missing, then remove it`,
    ]);

    const next = await open();
    assert.deepEqual([next.complete, next.lines], [true, []]);
    assert.deepEqual(next.journal.problems, journal.problems, 'until the file is gone');
    rmSync(file);
    assert.deepEqual([next.journal.problems, journal.problems, (await open()).journal.problems], [[], [], []]);
  });

  test('of both generations is put aside', async (t) => {
    const { path, open, aside } = await twoGenerations(t);
    const newer = '{"format":2,"apps":{}}';
    writeFileSync(path, `${sum(newer)}\n${newer}\n`);
    writeFileSync(`${path}.1`, 'nonsense');
    const { journal, registry } = await open();
    assert.deepEqual(registry.apps, []);
    await journal.save();
    await journal.save();
    assert.equal(aside().length, 2);
    assert.equal(journal.problems.join().match(/\.bad-/g)?.length, 2, 'both are told of');
    const kept = aside().map((entry) => readFileSync(join(path, '..', entry), 'utf8'));
    assert.deepEqual(kept.toSorted(), [`${sum(newer)}\n${newer}\n`, 'nonsense'].toSorted());
  });

  test('may be a folder', async (t) => {
    const { path, open, aside } = await twoGenerations(t);
    rmSync(path);
    mkdirSync(join(path, 'in the way'), { recursive: true });
    const { journal } = await open();
    await journal.save();
    assert.deepEqual([aside().length, (await loadState(path)).apps], [1, first]);
  });
});

test('a text is one way to write apps', async (t) => {
  const { bytes } = await twoGenerations(t);
  assert.equal(bytes.toString('utf8'), stateText(second));
});

function flipped(bytes: Buffer, bit: number): Buffer {
  const changed = Buffer.from(bytes);
  changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
  return changed;
}
