import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { RotateInterval } from '../../src/domain/app-spec.ts';
import { nextRotation, parseRotated, room, rotatedPath } from '../../src/logs/rotation.ts';
import * as fc from '../fakes/fast-check.ts';

describe('the name of a log that was set aside', () => {
  test('tells the log and the time, and sorts by it', () => {
    const at = Date.UTC(2025, 11, 31, 23, 59, 59, 7);
    assert.equal(rotatedPath('/logs/a.log', at), '/logs/a.log.20251231T235959.007Z');
    assert.deepEqual(parseRotated('a.log.20251231T235959.007Z'), { log: 'a.log', rotatedAt: at, gz: false });
    assert.deepEqual(parseRotated('a.log.20251231T235959.007Z.gz'), { log: 'a.log', rotatedAt: at, gz: true });
    fc.assert(
      fc.property(fc.date({ min: new Date(0), max: new Date(4e12), noInvalidDate: true }), (date) => {
        assert.equal(parseRotated(rotatedPath('x', date.getTime()))?.rotatedAt, date.getTime());
      }),
    );
  });

  test('is no other file', () => {
    for (const name of [
      'a.log',
      'a.log.1',
      'a.log.gz',
      '.a.log.20251231T235959.007Z.times',
      'a.log.20251231T235959.007Z.gz.part',
      'a.log.20259931T235959.007Z',
    ])
      assert.equal(parseRotated(name), null, name);
  });
});

describe('nextRotation, in local time', () => {
  const local = (...parts: [number, number, number, number, number]) => new Date(...parts).getTime();
  const wednesday = local(2025, 11, 31, 23, 30);
  const rows: readonly (readonly [RotateInterval, number])[] = [
    ['never', Number.POSITIVE_INFINITY],
    ['hourly', local(2026, 0, 1, 0, 0)],
    ['daily', local(2026, 0, 1, 0, 0)],
    ['weekly', local(2026, 0, 5, 0, 0)],
    ['monthly', local(2026, 0, 1, 0, 0)],
  ];
  for (const [interval, at] of rows) test(interval, () => assert.equal(nextRotation(interval, wednesday), at));

  test('weekly is the next Monday, on Sundays and Mondays too', () => {
    assert.equal(nextRotation('weekly', local(2026, 0, 4, 12, 0)), local(2026, 0, 5, 0, 0));
    assert.equal(nextRotation('weekly', local(2026, 0, 5, 0, 0)), local(2026, 0, 12, 0, 0));
  });
});

describe('room', () => {
  /** Writes chunks into files as `room` has it. */
  function fill(chunks: readonly Buffer[], maxBytes: number, overshootBytes: number): Buffer[] {
    const files: Buffer[] = [];
    let file = Buffer.alloc(0);
    for (const chunk of chunks) {
      for (let at = 0; at < chunk.length; ) {
        const lineStart = file.lastIndexOf(10) + 1;
        const end = room(chunk, at, { size: file.length, lineStart, maxBytes, overshootBytes });
        file = Buffer.concat([file, chunk.subarray(at, end)]);
        if (end < chunk.length) {
          assert.ok(file.length > 0, 'no empty file is set aside');
          files.push(file);
          file = Buffer.alloc(0);
        }
        at = end;
      }
    }
    return [...files, file];
  }
  const bytes = fc
    .uint8Array({ maxLength: 40 })
    .map((all) => Buffer.from(all.map((byte) => (byte % 4 === 0 ? 10 : 65))));

  test('loses nothing, cuts no line, and keeps to the limit but for a line that is longer', () => {
    fc.assert(
      fc.property(fc.array(bytes), fc.integer({ min: 1, max: 60 }), (chunks, maxBytes) => {
        const files = fill(chunks, maxBytes, 1e9);
        assert.deepEqual(Buffer.concat(files), Buffer.concat(chunks));
        for (const file of files.slice(0, -1)) {
          assert.equal(file.at(-1), 10);
          const lastLine = file.length - 1 - file.subarray(0, -1).lastIndexOf(10);
          assert.ok(file.length <= maxBytes || file.length - lastLine < maxBytes, `${file.length} of ${maxBytes}`);
        }
      }),
    );
  });

  test('cuts a line without end at last', () => {
    const files = fill([Buffer.alloc(100, 65), Buffer.alloc(100, 66)], 50, 70);
    assert.deepEqual(
      files.map(({ length }) => length),
      [120, 80],
    );
  });

  test('sets aside as soon as the line has ended, where the time has come', () => {
    const fillOf = (size: number, lineStart: number) => ({
      size,
      lineStart,
      maxBytes: lineStart,
      overshootBytes: 1000,
    });
    assert.equal(room(Buffer.from('c\nd\n'), 0, fillOf(5, 5)), 0);
    assert.equal(room(Buffer.from('c\nd\n'), 0, fillOf(5, 3)), 2);
  });
});
