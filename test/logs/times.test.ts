import assert from 'node:assert/strict';
import { appendFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { timeInLine } from '../../src/logs/line-time.ts';
import { TimesReader, TimesWriter, timesPath } from '../../src/logs/times.ts';
import * as fc from '../fakes/fast-check.ts';
import { tempFolder } from '../fakes/temp-folder.ts';

function log(t: TestContext) {
  const path = join(tempFolder(t), 'a.log');
  writeFileSync(path, 'x'.repeat(100));
  return { path, inode: statSync(path).ino };
}

const reading = <T>(path: string, inode: number | null, use: (reader: TimesReader) => T): T => {
  const reader = new TimesReader(path, inode);
  try {
    return use(reader);
  } finally {
    reader.close();
  }
};

describe('times', () => {
  test('are those at which bytes were written', (t) => {
    const { path, inode } = log(t);
    const writer = new TimesWriter(path, inode, 0, null);
    for (const [time, offset] of [
      [1000, 0],
      [1005, 10],
      [1005, 20],
      [2000, 30],
    ] as const)
      writer.note(time, offset);
    writer.close();
    reading(path, inode, (times) => {
      assert.deepEqual(
        [0, 9, 10, 25, 30, 99].map((offset) => times.at(offset)),
        [1000, 1000, 1005, 1005, 2000, 2000],
      );
      assert.deepEqual(
        [0, 1000, 1001, 1005, 1500, 2000].map((time) => times.offsetOf(time)),
        [0, 0, 10, 10, 30, 30],
      );
      assert.equal(times.offsetOf(3000), 30);
    });
  });

  test('of another file are not taken for those of this one', (t) => {
    const { path, inode } = log(t);
    const writer = new TimesWriter(path, inode, 0, null);
    writer.note(1000, 0);
    writer.close();
    assert.equal(
      reading(path, inode + 1, (times) => times.at(0)),
      null,
    );
    assert.equal(
      reading(`${path}.gz`, null, (times) => times.at(0)),
      1000,
      'a compressed one has another inode',
    );
    new TimesWriter(path, inode + 1, 50, null).close();
    assert.equal(
      reading(path, inode + 1, (times) => times.at(60)),
      null,
    );
  });

  test('go on where a process before has left off', (t) => {
    const { path, inode } = log(t);
    for (const [time, offset] of [
      [1000, 0],
      [2000, 50],
    ] as const) {
      const writer = new TimesWriter(path, inode, offset, null);
      writer.note(time, offset);
      writer.close();
    }
    reading(path, inode, (times) => assert.deepEqual([times.at(0), times.at(50)], [1000, 2000]));
  });

  test('that are missing or spoilt are not known', (t) => {
    const { path, inode } = log(t);
    assert.equal(
      reading(path, inode, (times) => times.at(0)),
      null,
    );
    assert.equal(
      reading(path, inode, (times) => times.offsetOf(1)),
      0,
    );
    writeFileSync(timesPath(path), 'something else, longer than a header');
    assert.equal(
      reading(path, inode, (times) => times.at(0)),
      null,
    );
  });

  test('grow while they are read', (t) => {
    const { path, inode } = log(t);
    const writer = new TimesWriter(path, inode, 0, null);
    writer.note(1000, 0);
    reading(path, inode, (times) => {
      assert.equal(times.at(50), 1000);
      writer.note(2000, 50);
      writer.flush(2000);
      times.refresh();
      assert.equal(times.at(50), 2000);
    });
    writer.close();
  });

  test('stay small beside a log of many small writes', (t) => {
    const { path, inode } = log(t);
    const writer = new TimesWriter(path, inode, 0, null);
    for (let write = 0; write < 100_000; write++) writer.note(1000 + write, write * 93);
    writer.close();
    const { size } = statSync(timesPath(path));
    assert.ok(size < 5000 * 12 + (100_000 * 93) / 64, `${size}`);
    reading(path, inode, (times) => {
      for (const write of [0, 4999, 50_000, 99_999]) {
        const error = 1000 + write - (times.at(write * 93) ?? 0);
        assert.ok(error >= 0 && error <= 100, `${error}`);
      }
    });
  });

  test('any are found again', (t) => {
    const step = fc.tuple(fc.integer({ min: 1, max: 1000 }), fc.integer({ min: 1, max: 1000 }));
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 900 }), (steps) => {
        const { path, inode } = log(t);
        const writer = new TimesWriter(path, inode, 0, null);
        let [time, offset] = [0, 0];
        const records = steps.map(([later, further]) => {
          time += later;
          const record = { time, offset };
          writer.note(time, offset);
          offset += further;
          return record;
        });
        writer.close();
        reading(path, inode, (times) => {
          for (const record of records) assert.equal(times.at(record.offset), record.time);
          for (const record of records) assert.equal(times.offsetOf(record.time), record.offset);
        });
      }),
      { numRuns: 20 },
    );
  });

  test('that cannot be written do no harm', (t) => {
    const path = join(tempFolder(t), 'none', 'a.log');
    const writer = new TimesWriter(path, 1, 0, null);
    writer.note(1000, 0);
    writer.flush(1000);
    writer.close();
    appendFileSync('/dev/null', '');
  });
});

describe('timeInLine', () => {
  const at = Date.UTC(2026, 0, 2, 3, 4, 5, 678);
  const second = Date.UTC(2026, 0, 2, 3, 4, 5);
  const rows: readonly (readonly [line: string, time: number | null])[] = [
    ['2026-01-02T03:04:05.678Z: text', at],
    ['[2026-01-02 03:04:05,678+00:00] text', at],
    ['2026-01-02T03:04:05Z text', second],
    ['2026-01-02T03:04:05: text', new Date(2026, 0, 2, 3, 4, 5).getTime()],
    ['{"time":"2026-01-02T03:04:05.678Z","x":1}', at],
    [`{"level":30,"time":${at},"msg":"x"}`, at],
    [`{"ts":${second / 1000}.5}`, second],
    ['{"timestamp": "2026-01-02T03:04:05.678Z"}', at],
    ['{"time":"soon"}', null],
    ['text of 2026-01-02T03:04:05Z', null],
    ['9999-99-99T99:99:99Z', null],
    ['', null],
  ];
  for (const [line, time] of rows) test(line, () => assert.equal(timeInLine(line), time));
});
