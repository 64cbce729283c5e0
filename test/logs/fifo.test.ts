import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { closeSync, statSync, writeSync } from 'node:fs';
import { test } from 'node:test';
import { FifoMaker, FifoReader, openBothWays } from '../../src/logs/fifo.ts';
import { until } from '../e2e/until.ts';
import { tempFolder } from '../fakes/temp-folder.ts';

test('the mode of a pipe tells the next reader whether a line may have been begun', async (t) => {
  const path = new FifoMaker(tempFolder(t), 'test').take();
  const reads = new EventEmitter();
  const reader = new FifoReader(path, (bytes) => reads.emit('bytes', String(bytes)));
  t.after(() => reader.close());
  const writer = openBothWays(reader.path);
  t.after(() => closeSync(writer));
  const write = async (text: string): Promise<void> => {
    const read = once(reads, 'bytes');
    writeSync(writer, text);
    assert.deepEqual(await read, [text]);
  };
  const isMarked = (): boolean => (statSync(path).mode & 0o1000) !== 0;

  await write('a\n');
  assert.equal(isMarked(), false);
  await write('b');
  assert.equal(isMarked(), true);
  await write('b\n');
  assert.equal(isMarked(), true, 'a reader that is killed as it reads could have read half a line');
  await until(() => !isMarked(), 'what has not been written to for a while to count as between lines');
  await write('c');
  reader.endLine();
  assert.equal(isMarked(), false);
});
