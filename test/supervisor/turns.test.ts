import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Turns } from '../../src/supervisor/turns.ts';

/** Work that blocks the event loop. */
function work(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

test('much work leaves turns to others, and keeps its order', async () => {
  const turns = new Turns(() => performance.now());
  const done: string[] = [];
  let isOver = false;
  const others = (): void => {
    done.push('others');
    if (!isOver) setImmediate(others);
  };
  const all = Array.from({ length: 8 }, async (_, index) => {
    await turns.take();
    work(10);
    done.push(String(index));
  });
  setImmediate(others);
  await Promise.all(all);
  isOver = true;
  const works = done.filter((what) => what !== 'others');
  assert.deepEqual(works, ['0', '1', '2', '3', '4', '5', '6', '7']);
  assert.ok(done.indexOf('others') < done.indexOf('7'), String(done));
});

test('little work is done at once', async () => {
  const turns = new Turns(() => performance.now(), 60_000);
  let turned = false;
  setImmediate(() => {
    turned = true;
  });
  await Promise.all(Array.from({ length: 100 }, () => turns.take()));
  assert.equal(turned, false);
});
