import assert from 'node:assert/strict';
import {
  appendFileSync,
  existsSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { LogFollower } from '../../src/logs/follow.ts';
import { LogSnapshot } from '../../src/logs/log-snapshot.ts';
import { rotatedPath } from '../../src/logs/rotation.ts';
import * as fc from '../fakes/fast-check.ts';
import { tempFolder } from '../fakes/temp-folder.ts';

/** A log, and what a follower of it, from its present end on, has seen since it was last asked. */
function followed(t: TestContext, content: string | null) {
  const path = join(tempFolder(t), 'out.log');
  if (content !== null) writeFileSync(path, content);
  const snapshot = new LogSnapshot(path, true);
  let missed = 0;
  const follower = new LogFollower(path, snapshot.end ?? { since: snapshot.takenAt }, () => missed++);
  snapshot.close();
  t.after(() => follower.close());
  const news = (): string[] => {
    const all: string[] = [];
    for (let lines = follower.read(); lines.length > 0; lines = follower.read())
      all.push(...lines.map(({ text }) => text));
    return all;
  };
  let rotatedAt = Date.now();
  /** @returns its path then. */
  const rotate = (): string => {
    const rotated = rotatedPath(path, ++rotatedAt);
    renameSync(path, rotated);
    return rotated;
  };
  const gzip = (file: string): void => {
    writeFileSync(`${file}.gz`, gzipSync(readFileSync(file)));
    rmSync(file);
  };
  return { path, news, follower, rotate, gzip, missed: () => missed };
}

describe('LogFollower', () => {
  test('sees what is appended, from its end on', (t) => {
    const { path, news } = followed(t, 'old\n');
    assert.deepEqual(news(), []);
    appendFileSync(path, 'a\nb\n');
    assert.deepEqual(news(), ['a', 'b']);
    assert.deepEqual(news(), []);
    appendFileSync(path, 'c\n');
    assert.deepEqual(news(), ['c']);
  });

  test('waits for the end of a line, and of a character', (t) => {
    const { path, news } = followed(t, '');
    const seen = [...Buffer.from('grün\n🎉\n')].flatMap((byte) => {
      appendFileSync(path, Buffer.of(byte));
      return news();
    });
    assert.deepEqual(seen, ['grün', '🎉']);
  });

  test('waits for the end of a line that had begun before', (t) => {
    const { path, news } = followed(t, 'a\nbeg');
    appendFileSync(path, 'in\n');
    assert.deepEqual(news(), ['begin']);
  });

  test('reads much', (t) => {
    const { path, news } = followed(t, '');
    const lines = Array.from({ length: 200_000 }, (_, index) => `line ${index}`);
    appendFileSync(path, `${lines.join('\n')}\n`);
    assert.deepEqual(news(), lines);
  });

  test('shows a line without end in pieces', (t) => {
    const { path, news } = followed(t, '');
    appendFileSync(path, 'x'.repeat(1_400_000));
    const pieces = news();
    appendFileSync(path, 'y\n');
    assert.equal([...pieces, ...news()].join(''), `${'x'.repeat(1_400_000)}y`);
    assert.ok(pieces.length > 0);
  });

  test('starts again in a file that was emptied, without half a line of before', (t) => {
    const { path, news } = followed(t, 'old line\n');
    appendFileSync(path, 'half');
    assert.deepEqual(news(), []);
    truncateSync(path);
    assert.deepEqual(news(), []);
    appendFileSync(path, 'a\n');
    assert.deepEqual(news(), ['a']);
  });

  test('waits for a file that is not there yet, or no more', (t) => {
    const { path, news } = followed(t, null);
    assert.deepEqual(news(), []);
    writeFileSync(path, 'a\n');
    assert.deepEqual(news(), ['a']);
    rmSync(path);
    assert.deepEqual(news(), []);
    writeFileSync(path, 'b\n');
    assert.deepEqual(news(), ['b']);
  });

  test('may be closed twice, and goes on from the beginning', (t) => {
    const { path, news, follower } = followed(t, '');
    appendFileSync(path, 'a\n');
    news();
    follower.close();
    follower.close();
    appendFileSync(path, 'b\n');
    assert.deepEqual(news(), ['a', 'b']);
  });
});

describe('across rotation', () => {
  test('finishes the file that was set aside, then reads the new one', (t) => {
    const { path, news, rotate } = followed(t, '');
    appendFileSync(path, 'last of the old\n');
    rotate();
    assert.deepEqual(news(), ['last of the old']);
    writeFileSync(path, 'first of the new\n');
    assert.deepEqual(news(), ['first of the new']);
  });

  test('reads what was set aside while it did not look, compressed or not', (t) => {
    const { path, news, rotate, gzip, missed } = followed(t, 'old\n');
    appendFileSync(path, 'a\n');
    gzip(rotate());
    writeFileSync(path, 'b\n');
    rotate();
    writeFileSync(path, 'c\n');
    gzip(rotate());
    writeFileSync(path, 'd\n');
    assert.deepEqual(news(), ['a', 'b', 'c', 'd']);
    assert.equal(missed(), 0);
  });

  test('begins with what was written since a time, also where that was set aside', (t) => {
    const path = join(tempFolder(t), 'out.log');
    const at = (hour: number) => new Date(Date.UTC(2026, 0, 1, hour)).toISOString();
    for (const hour of [1, 2, 3]) writeFileSync(rotatedPath(path, Date.parse(at(hour))), `${at(hour - 1)} line\n`);
    writeFileSync(path, `${at(3)} line\n${at(4)} line\n`);
    const follower = new LogFollower(path, { since: Date.parse(at(2)) });
    assert.deepEqual(
      follower.read().map(({ text }) => text),
      [`${at(2)} line`, `${at(3)} line`, `${at(4)} line`],
    );
    follower.close();
  });

  test('says when something was removed before it was read', (t) => {
    const { path, news, rotate, follower, missed } = followed(t, '');
    follower.close();
    appendFileSync(path, 'a\n');
    news();
    const first = rotate();
    writeFileSync(path, 'b\n');
    const second = rotate();
    writeFileSync(path, 'c\n');
    rotate();
    writeFileSync(path, 'd\n');
    rmSync(first);
    rmSync(second);
    assert.deepEqual(news(), ['c', 'd']);
    assert.equal(missed(), 1);
  });

  test('goes on in what is open while its folder cannot be looked into', (t) => {
    const { path, news } = followed(t, '');
    appendFileSync(path, 'a\n');
    const [folder, away] = [dirname(path), `${dirname(path)}-away`];
    renameSync(folder, away);
    symlinkSync(folder, folder);
    appendFileSync(join(away, 'out.log'), 'b\n');
    assert.deepEqual(news(), ['a', 'b']);
    rmSync(folder);
    renameSync(away, folder);
    appendFileSync(path, 'c\n');
    assert.deepEqual(news(), ['c']);
  });

  test('begins where a snapshot has ended, also when it was set aside since', (t) => {
    const path = join(tempFolder(t), 'out.log');
    writeFileSync(path, 'a\n');
    const snapshot = new LogSnapshot(path, true);
    appendFileSync(path, 'b\n');
    renameSync(path, rotatedPath(path, Date.now()));
    writeFileSync(path, 'c\n');
    const follower = new LogFollower(path, snapshot.end ?? assert.fail());
    assert.deepEqual(
      follower.read().map(({ text }) => text),
      ['b', 'c'],
    );
    snapshot.close();
    follower.close();
  });

  test('sees every line once, whatever happens between its looks', (t) => {
    const step = fc.constantFrom('write', 'rotate', 'look', 'gzip');
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const { path, news, rotate, gzip, follower } = followed(t, 'before\n');
        const seen: string[] = [];
        const written: string[] = [];
        const plain: string[] = [];
        for (const [index, what] of steps.entries()) {
          if (what === 'write') {
            written.push(`line ${index}`);
            appendFileSync(path, `line ${index}\n`);
          }
          if (what === 'rotate' && existsSync(path)) plain.push(rotate());
          if (what === 'look') seen.push(...news());
          if (what === 'gzip') for (const file of plain.splice(0)) gzip(file);
        }
        seen.push(...news());
        assert.deepEqual(seen, written);
        follower.close();
      }),
      { numRuns: 60 },
    );
  });
});
