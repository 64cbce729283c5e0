import assert from 'node:assert/strict';
import { appendFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { FileFollower } from '../../src/logs/follow.ts';
import { tempFolder } from '../fakes/temp-folder.ts';

/** A file, and what a follower of it has seen since it was last asked. */
function followed(t: TestContext, content: string | null, offset?: number) {
  const path = join(tempFolder(t), 'out.log');
  if (content !== null) writeFileSync(path, content);
  const lines: string[] = [];
  const follower = new FileFollower(path, offset ?? Buffer.byteLength(content ?? ''), (line) => lines.push(line));
  t.after(() => follower.close());
  const news = (): string[] => {
    follower.read();
    return lines.splice(0);
  };
  return { path, news, follower };
}

describe('FileFollower', () => {
  test('sees what is appended, from its offset on', (t) => {
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

  test('reads much at once', (t) => {
    const { path, news } = followed(t, '');
    const lines = Array.from({ length: 50_000 }, (_, index) => `line ${index}`);
    appendFileSync(path, `${lines.join('\n')}\n`);
    assert.deepEqual(news(), lines);
  });

  test('shows a line without end in pieces', (t) => {
    const { path, news } = followed(t, '');
    appendFileSync(path, 'x'.repeat(400_000));
    const pieces = news();
    appendFileSync(path, 'y\n');
    assert.equal([...pieces, ...news()].join(''), `${'x'.repeat(400_000)}y`);
    assert.ok(pieces.length > 0);
  });

  test('starts again in a file that was emptied', (t) => {
    const { path, news } = followed(t, 'old line\n');
    news();
    truncateSync(path);
    assert.deepEqual(news(), []);
    appendFileSync(path, 'a\n');
    assert.deepEqual(news(), ['a']);
  });

  test('forgets half a line of a file that was emptied', (t) => {
    const { path, news } = followed(t, '');
    appendFileSync(path, 'half');
    news();
    writeFileSync(path, 'a\n');
    assert.deepEqual(news(), ['a']);
  });

  test('finishes a file that was renamed, then reads the new one', (t) => {
    const { path, news } = followed(t, '');
    news();
    appendFileSync(path, 'last of the old\n');
    renameSync(path, `${path}.1`);
    writeFileSync(path, 'first of the new\n');
    assert.deepEqual(news(), ['last of the old', 'first of the new']);
    appendFileSync(path, 'second\n');
    assert.deepEqual(news(), ['second']);
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

  test('may be closed twice, and read again', (t) => {
    const { path, news, follower } = followed(t, '');
    appendFileSync(path, 'a\n');
    news();
    follower.close();
    follower.close();
    appendFileSync(path, 'b\n');
    assert.deepEqual(news(), ['b']);
  });
});
