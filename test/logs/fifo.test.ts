import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { closeSync, rmSync, statSync, writeSync } from 'node:fs';
import { test } from 'node:test';
import { FifoMaker, FifoReader } from '../../src/logs/fifo.ts';
import { until } from '../e2e/until.ts';
import { tempFolder } from '../fakes/temp-folder.ts';

test('the mode of a pipe tells the next reader whether a line may have been begun', async (t) => {
  const path = new FifoMaker(tempFolder(t), 'test').take();
  const reads = new EventEmitter();
  const reader = new FifoReader(path, (bytes) => reads.emit('bytes', String(bytes)));
  t.after(() => reader.close());
  const writer = reader.openWriter();
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

test('a pipe whose name is gone is written to, and read by the next reader for as long as somebody has it', async (t) => {
  const fifos = new FifoMaker(tempFolder(t), 'test');
  const path = fifos.take();
  const reader = new FifoReader(path, () => {});
  rmSync(path);
  const writer = spawn('sleep', ['9876'], { stdio: ['ignore', reader.openWriter(), 'ignore'] });
  t.after(() => writer.kill('SIGKILL'));
  reader.leave();
  assert.deepEqual(fifos.held(), [path]);
  const reads = new EventEmitter();
  const next = new FifoReader(path, (bytes) => reads.emit('bytes', String(bytes)));
  t.after(() => next.close());
  const fd = next.openWriter();
  t.after(() => closeSync(fd));
  const read = once(reads, 'bytes');
  writeSync(fd, 'a\n');
  assert.deepEqual(await read, ['a\n']);
  assert.throws(() => new FifoReader(`${path}.other`, () => {}), { code: 'ENOENT' });
});

test('pipes that were ready and are gone are made again', (t) => {
  const fifos = new FifoMaker(tempFolder(t), 'test');
  fifos.reserve(2);
  for (const path of fifos.left()) rmSync(path);
  const path = fifos.take();
  assert.ok(statSync(path).isFIFO());
  rmSync(path);
  closeSync(fifos.open(path));
  assert.ok(statSync(path).isFIFO());
  fifos.close();
});
