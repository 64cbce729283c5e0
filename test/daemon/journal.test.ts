import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { Journal } from '../../src/daemon/journal.ts';
import { loadState } from '../../src/daemon/state-file.ts';
import type { AppRecord } from '../../src/protocol/messages.ts';
import { appRecord, appSpec } from '../fakes/app-spec.ts';
import { FakeDisk, type Remains } from '../fakes/disk.ts';
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
    const apps = [...first, ...second];
    assert.deepEqual(await loadState(path), { apps, complete: true, problem: null, unreadable: [], aside: [] });
  });

  test('is nothing at first', async (t) => {
    const nothing = { apps: [], complete: false, problem: null, unreadable: [], aside: [] };
    assert.deepEqual(await loadState(journaled(t).path), nothing);
  });

  test('is for the owner only, and leaves nothing temporary', async (t) => {
    const { path, save } = journaled(t);
    await save(first);
    await save(second);
    for (const file of [path, `${path}.1`]) assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.deepEqual(readdirSync(join(path, '..')).toSorted(), ['state.json', 'state.json.1']);
  });

  test('is written where it belongs, whatever stands there', async (t) => {
    const { path, save } = journaled(t);
    const elsewhere = join(tempFolder(t), 'elsewhere');
    writeFileSync(elsewhere, 'not ours', { mode: 0o644 });
    for (const name of [path, `${path}.1`, `${path}.tmp`]) symlinkSync(elsewhere, name);
    await save(first);
    await save(second);
    assert.equal(readFileSync(elsewhere, 'utf8'), 'not ours');
    assert.equal(statSync(elsewhere).mode & 0o777, 0o644);
    assert.deepEqual((await loadState(path)).apps, second);
    assert.equal(statSync(path).mode & 0o777, 0o600);
  });

  test('is written anew where a save was cut short', async (t) => {
    const { path, save } = journaled(t);
    writeFileSync(`${path}.tmp`, 'x'.repeat(1_000_000), { mode: 0o644 });
    await save(first);
    assert.deepEqual([(await loadState(path)).apps, statSync(path).mode & 0o777], [first, 0o600]);
  });
});

describe('a disk that fails', () => {
  const error = (code: string) => Object.assign(new Error(`${code}: it fails`), { code });
  const names = async (t: TestContext, remains: Remains) => {
    const folder = tempFolder(t);
    for (const [name, text] of Object.entries(remains)) writeFileSync(join(folder, name), text);
    const { apps } = await loadState(join(folder, 'state.json'));
    return apps.map(({ spec }) => spec.name).join();
  };
  function onDisk(disk: FakeDisk, loaded?: ConstructorParameters<typeof Journal>[2]) {
    const state = { apps: [] as readonly AppRecord[] };
    const journal = new Journal('/home/state.json', () => state.apps, loaded, disk, 20);
    const save = (name: string) => {
      state.apps = [appRecord(appSpec({ name }))];
      return journal.save();
    };
    return { journal, save };
  }

  test('by losing its power between any two system calls leaves what was saved, or is being saved', async (t) => {
    const disk = new FakeDisk();
    const { save } = onDisk(disk);
    const seen = new Map<string, { readonly remains: Remains; readonly allowed: Set<string>; readonly at: string }>();
    let allowed: string[] = [''];
    const look = (at: string): void => {
      for (const remains of disk.remains()) {
        const key = JSON.stringify(remains);
        const known = seen.get(key)?.allowed;
        // Where it is found at two moments, it must do for both.
        const both = known ? allowed.filter((name) => known.has(name)) : allowed;
        seen.set(key, { remains, allowed: new Set(both), at });
      }
    };
    let calls = 0;
    disk.onCall = (name) => {
      calls++;
      look(`before ${name}`);
    };
    let before = '';
    for (const name of ['a', 'b', 'c', 'd']) {
      allowed = [before, name];
      await save(name);
      allowed = [name];
      look(`after ${name} was saved`);
      before = name;
    }
    assert.equal(calls, 4 * 8);
    assert.ok(seen.size > 20, String(seen.size));
    for (const { remains, allowed: names_, at } of seen.values()) {
      const found = await names(t, remains);
      assert.ok(
        names_.has(found),
        `${at}: "${found}" of ${Object.keys(remains).join()}; allowed: ${[...names_].join()}`,
      );
    }
  });

  test('at any system call is told; what was saved stays, and the next save works', async (t) => {
    for (let failing = 0; failing < 8; failing++) {
      const disk = new FakeDisk();
      const { journal, save } = onDisk(disk);
      await save('a');
      await save('b');
      let failed = '';
      disk.onCall = (name, number) => {
        if (number !== 16 + failing) return;
        failed = name;
        throw error('ENOSPC');
      };
      const rejection = { code: 'STATE_UNSAVED', message: 'the list of apps cannot be saved: ENOSPC: it fails' };
      await assert.rejects(save('c'), rejection);
      assert.deepEqual(journal.problems, ['the list of apps is not saved: ENOSPC: it fails'], failed);
      // What comes after the last rename only makes sure of it.
      assert.equal(await names(t, disk.now), ['open home', 'fsync of the folder'].includes(failed) ? 'c' : 'b', failed);
      assert.ok(failed.startsWith('rename') || !('state.json.tmp' in disk.now), 'half a file stays');
      await save('d');
      assert.deepEqual([await names(t, disk.now), journal.problems, journal.isBehind], ['d', [], false]);
    }
  });

  test('while files are put aside loses none of them', async (t) => {
    for (let failing = 0; failing < 12; failing++) {
      const disk = new FakeDisk();
      for (const name of ['state.json', 'state.json.1']) {
        const file = await disk.open(`/home/${name}`, 'wx');
        await file.writeFile(`bad ${name}`);
      }
      const found = { problem: 'bad', unreadable: ['/home/state.json', '/home/state.json.1'], aside: [] };
      const { journal, save } = onDisk(disk, found);
      disk.onCall = (_, number) => {
        if (number === 4 + failing) throw error('EIO');
      };
      await assert.rejects(save('a'), { code: 'STATE_UNSAVED' });
      await save('b');
      assert.equal(await names(t, disk.now), 'b');
      assert.deepEqual(
        Object.values(disk.now)
          .filter((text) => text.startsWith('bad'))
          .toSorted(),
        ['bad state.json', 'bad state.json.1'],
      );
      assert.equal(journal.isBehind, false);
    }
  });

  test('by hanging is told in time, and what is wanted by then is written when it goes on', async (t) => {
    const disk = new FakeDisk();
    const { journal, save } = onDisk(disk);
    await save('a');
    let goOn = (): void => {};
    const hangs = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    disk.onCall = (name) => (name === 'fsync state.json.tmp' ? hangs : undefined);
    await assert.rejects(save('b'), { code: 'STATE_UNSAVED', message: /the disk has not answered within 20 ms$/ });
    assert.equal(journal.isBehind, true);
    const last = save('c');
    await assert.rejects(last, { code: 'STATE_UNSAVED' });
    assert.equal(await names(t, disk.now), 'a');
    goOn();
    await journal.save();
    assert.deepEqual([await names(t, disk.now), journal.isBehind], ['c', false]);
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
    for (const save of failing) await assert.rejects(save, { code: 'STATE_UNSAVED', message: /ENOENT/ });
    mkdirSync(folder);
    await save(first);
    assert.deepEqual((await loadState(path)).apps, first);
  });
});
