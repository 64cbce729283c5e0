import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { Journal, loadState } from '../../src/daemon/journal.ts';
import { openState } from '../../src/daemon/open-state.ts';
import type { AppRecord } from '../../src/protocol/messages.ts';
import { appRecord, appSpec } from '../fakes/app-spec.ts';
import { tempFolder } from '../fakes/temp-folder.ts';

const first = [appRecord(appSpec({ name: 'first', env: { TEXT: 'Grüße\n🎉' } }))];
const second = [appRecord(appSpec({ name: 'second', instances: 2 }), { key: 'k2', firstId: 1 })];

/** A journal of a state that the test sets. */
function journaled(t: TestContext) {
  const path = join(tempFolder(t), 'state.json');
  const state = { apps: [] as readonly AppRecord[], reads: 0 };
  const journal = new Journal(path, () => {
    state.reads++;
    return state.apps;
  });
  const save = async (apps: readonly AppRecord[]) => {
    state.apps = apps;
    await journal.save();
  };
  return { path, state, journal, save };
}

describe('the wanted state', () => {
  test('is read as it was saved', async (t) => {
    const { path, save } = journaled(t);
    await save([...first, ...second]);
    assert.deepEqual(await loadState(path), { apps: [...first, ...second], problem: null });
  });

  test('is nothing at first', async (t) => {
    assert.deepEqual(await loadState(journaled(t).path), { apps: [], problem: null });
  });

  test('is for the owner only, and leaves nothing temporary', async (t) => {
    const { path, save } = journaled(t);
    await save(first);
    await save(second);
    for (const file of [path, `${path}.1`]) assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.deepEqual(readdirSync(join(path, '..')).toSorted(), ['state.json', 'state.json.1']);
  });
});

describe('a damaged state', () => {
  async function twoGenerations(t: TestContext) {
    const { path, save } = journaled(t);
    await save(first);
    await save(second);
    return { path, bytes: readFileSync(path), save };
  }

  test('torn at any byte is told from a whole one, and the generation before is taken', async (t) => {
    const { path, bytes } = await twoGenerations(t);
    // Without its last newline it is whole all the same.
    for (let length = 0; length < bytes.length - 1; length++) {
      writeFileSync(path, bytes.subarray(0, length));
      const { apps, problem } = await loadState(path);
      assert.deepEqual(apps, first, `torn at byte ${length}`);
      assert.match(problem ?? '', /^\/.*state\.json is damaged: .*; the generation before it was taken$/);
    }
  });

  test('with any byte changed is told, too', async (t) => {
    const { path, bytes } = await twoGenerations(t);
    for (let at = 0; at < bytes.length - 1; at += 19) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] as number) ^ 1;
      writeFileSync(path, changed);
      assert.deepEqual((await loadState(path)).apps, first, `changed at byte ${at}`);
    }
  });

  test('that is missing is the one before', async (t) => {
    const { path } = await twoGenerations(t);
    rmSync(path);
    const { apps, problem } = await loadState(path);
    assert.deepEqual(apps, first);
    assert.match(problem ?? '', /is missing; the generation before it was taken$/);
  });

  test('of which nothing is left is empty, and told', async (t) => {
    const { path } = await twoGenerations(t);
    for (const file of [path, `${path}.1`]) writeFileSync(file, 'nonsense');
    const { apps, problem } = await loadState(path);
    assert.deepEqual(apps, []);
    assert.match(problem ?? '', /is damaged: .*; there is no older one$/);
  });

  test('is replaced by the next one that is saved', async (t) => {
    const { path, save } = await twoGenerations(t);
    writeFileSync(path, 'nonsense');
    await save(second);
    assert.deepEqual(await loadState(path), { apps: second, problem: null });
  });

  test('is not kept in the place of the good one before it', async (t) => {
    const { path } = await twoGenerations(t);
    writeFileSync(path, 'nonsense');
    const lines: string[] = [];
    const { registry, journal } = await openState(path, (line) => lines.push(line));
    assert.deepEqual(registry.apps, first);
    assert.match(lines.join('\n'), /^\S*state\.json is damaged: .*; the generation before it was taken$/);
    const older = readFileSync(`${path}.1`);
    registry.clear();
    await journal.save();
    assert.deepEqual(readFileSync(`${path}.1`), older);
    assert.deepEqual(await loadState(path), { apps: [], problem: null });

    registry.add(appSpec({ name: 'later' }), 1);
    await journal.save();
    rmSync(path);
    assert.deepEqual((await loadState(path)).apps, [], 'from the second one on, generations move up again');
  });

  test('that cannot be replaced leaves the good one before it', async (t) => {
    const { path } = await twoGenerations(t);
    rmSync(path);
    mkdirSync(join(path, 'in the way'), { recursive: true });
    const { registry, journal } = await openState(path, () => {});
    await assert.rejects(journal.save());
    assert.deepEqual([registry.apps, (await loadState(path)).apps], [first, first]);
  });

  test('that is no JSON under a checksum that matches is of another format', async (t) => {
    const { path } = await twoGenerations(t);
    for (const text of ['not json', '', '[', '3', 'null']) {
      writeFileSync(path, `${createHash('sha256').update(text).digest('hex')}\n${text}\n`);
      const { apps, problem } = await loadState(path);
      assert.deepEqual(apps, first, text);
      assert.match(problem ?? '', /is of another format; the generation before it was taken$/);
    }
  });

  test('of another format is not read', async (t) => {
    const { path, save, state } = journaled(t);
    state.apps = [{ ...(first[0] as AppRecord), key: 'NOT A KEY' }];
    await save(state.apps);
    const { apps, problem } = await loadState(path);
    assert.deepEqual(apps, []);
    assert.match(problem ?? '', /is of another format/);
  });
});

describe('saves at once', () => {
  test('share a write, and all are on disk when theirs resolves', async (t) => {
    const { path, state, journal } = journaled(t);
    state.apps = first;
    const early = journal.save();
    state.apps = second;
    const late = Array.from({ length: 20 }, () => journal.save());
    await late[0];
    assert.deepEqual((await loadState(path)).apps, second);
    await Promise.all([early, ...late]);
    assert.equal(state.reads, 2);
  });

  test('one after the other each write', async (t) => {
    const { path, state, save } = journaled(t);
    for (const apps of [first, second, first]) await save(apps);
    assert.equal(state.reads, 3);
    assert.deepEqual((await loadState(path)).apps, first);
  });

  test('that fail say so, and the next one works', async (t) => {
    const { path, journal, save } = journaled(t);
    const folder = join(path, '..');
    rmSync(folder, { recursive: true });
    const failing = [journal.save(), journal.save()];
    for (const save of failing) await assert.rejects(save, { code: 'ENOENT' });
    mkdirSync(folder);
    await save(first);
    assert.deepEqual((await loadState(path)).apps, first);
  });
});
