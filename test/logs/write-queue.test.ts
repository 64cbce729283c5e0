import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { WriteQueue } from '../../src/logs/write-queue.ts';

/** A file on a disk that writes when it is told to. */
function slowFile(mostBytes: number) {
  const written: string[] = [];
  const waiting: (() => void)[] = [];
  let closed = 0;
  const file = {
    options: { note: (text: string) => Buffer.from(`[${text}]\n`) },
    append: (bytes: Buffer) => void written.push(bytes.toString()),
    appendLater: (bytes: Buffer, done: () => void) =>
      void waiting.push(() => {
        written.push(bytes.toString());
        done();
      }),
    close: () => {
      closed++;
    },
  };
  const queue = new WriteQueue(file, mostBytes, () => 0);
  return {
    queue,
    push: (text: string) => queue.push(Buffer.from(text)),
    /** The disk writes one chunk. */
    write: () => waiting.shift()?.(),
    text: () => written.join('').replaceAll(/between \S+ and \S+:/g, 'then:'),
    closed: () => closed,
  };
}

describe('WriteQueue', () => {
  test('writes in order, one chunk at a time', () => {
    const { push, write, text } = slowFile(100);
    for (const line of ['a\n', 'b\n', 'c\n']) push(line);
    assert.equal(text(), '');
    write();
    assert.equal(text(), 'a\n');
    write();
    write();
    assert.equal(text(), 'a\nb\nc\n');
    push('d\n');
    write();
    assert.equal(text(), 'a\nb\nc\nd\n');
  });

  test('drops and counts what there is no room for, and tells in its place', () => {
    const { queue, push, write, text } = slowFile(4);
    for (const line of ['a\n', 'b\n', 'lost\nlost\n', 'lost\n']) push(line);
    assert.equal(queue.dropped.lines, 3);
    assert.equal(queue.dropped.reason, 'the disk is too slow');
    write();
    push('c\n');
    for (let count = 0; count < 5; count++) write();
    assert.equal(text(), 'a\nb\n[3 lines (15 bytes) were lost here, then: the disk is too slow]\nc\n');
    assert.equal(queue.dropped.since, null);
    assert.equal(queue.dropped.lines, 3);
  });

  test('tells of what was dropped also when nothing follows', () => {
    const { push, write, text } = slowFile(2);
    push('a\n');
    push('lost\n');
    write();
    write();
    assert.match(text(), /^a\n\[1 line .*\]\n$/);
  });

  test('takes one chunk however small the room is', () => {
    const { push, write, text } = slowFile(0);
    push('a\n');
    write();
    push('b\n');
    write();
    assert.equal(text(), 'a\nb\n');
  });

  test('writes what waits when it is closed, after what is being written', async () => {
    const { queue, push, write, text, closed } = slowFile(100);
    for (const line of ['a\n', 'b\n', 'c\n']) push(line);
    const end = queue.close();
    assert.equal(closed(), 0);
    write();
    await end;
    assert.equal(text(), 'a\nb\nc\n');
    assert.equal(closed(), 1);
  });
});
