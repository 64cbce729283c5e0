import assert from 'node:assert/strict';
import {
  appendFileSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import type { RotationSpec } from '../../src/domain/app-spec.ts';
import { RotatingFile } from '../../src/logs/rotating-file.ts';
import { TimesReader } from '../../src/logs/times.ts';
import * as fc from '../fakes/fast-check.ts';
import { tempFolder } from '../fakes/temp-folder.ts';

const START = new Date(2026, 0, 2, 3, 4, 5).getTime();

function logFile(t: TestContext, { rotation = {}, path }: { rotation?: Partial<RotationSpec>; path?: string } = {}) {
  const folder = tempFolder(t);
  const file = path ?? join(folder, 'a.log');
  let now = START;
  let rotated = 0;
  let losses = 0;
  const open = () =>
    new RotatingFile(
      file,
      {
        appUid: null,
        rotation: { maxBytes: null, interval: 'never', ...rotation },
        note: (text) => Buffer.from(`upkeep: ${text}\n`),
      },
      {
        now: () => now,
        lastRotation: () => 0,
        onRotated: () => rotated++,
        onDirty: () => {},
        onLoss: () => losses++,
      },
    );
  const log = open();
  t.after(() => log.close());
  return {
    log,
    file,
    folder,
    open,
    /** The texts of all files, the oldest first. */
    texts: () =>
      readdirSync(folder)
        .filter((name) => name.startsWith('a.log'))
        .toSorted((a, b) => (a === 'a.log' ? 1 : b === 'a.log' ? -1 : a < b ? -1 : 1))
        .map((name) => readFileSync(join(folder, name), 'utf8')),
    write: (text: string) => log.append(Buffer.from(text)),
    pass: (ms: number) => {
      now += ms;
    },
    rotated: () => rotated,
    losses: () => losses,
  };
}

describe('by size', () => {
  test('a file is set aside before a line that does not fit', (t) => {
    const { write, texts, rotated } = logFile(t, { rotation: { maxBytes: 6 } });
    write('aa\nbb\ncc\n');
    write('dddddddd\ne\n');
    write('f\n');
    assert.deepEqual(texts(), ['aa\nbb\n', 'cc\n', 'dddddddd\n', 'e\nf\n']);
    assert.equal(rotated(), 3);
  });

  test('an unfinished line stays together', (t) => {
    const { write, texts } = logFile(t, { rotation: { maxBytes: 6 } });
    for (const text of ['aa\nbb', 'bbb', 'b\ncc', '\n']) write(text);
    assert.deepEqual(texts(), ['aa\nbbbbbb\n', 'cc\n']);
  });

  test('a line without end is cut, and that is marked', (t) => {
    const { write, texts } = logFile(t, { rotation: { maxBytes: 10 } });
    for (let count = 0; count < 5; count++) write('x'.repeat(64 * 1024));
    const [first = '', second = ''] = texts();
    assert.match(first, /^x+ \[upkeep: the line is too long, and goes on below\]\n$/);
    assert.equal(first.match(/x/g)?.length, 256 * 1024 + 10);
    assert.equal(second.length, 64 * 1024 - 10);
  });

  test('whatever the chunks: nothing is lost, doubled or torn', (t) => {
    const chunk = fc.string({ maxLength: 30 }).map((text) => text.replace(/[^a-m]/g, '\n'));
    fc.assert(
      fc.property(fc.array(chunk), fc.integer({ min: 1, max: 50 }), (chunks, maxBytes) => {
        const { write, texts, folder, log, pass } = logFile(t, { rotation: { maxBytes } });
        for (const text of chunks) {
          write(text);
          pass(chunks.length % 2);
        }
        assert.equal(texts().join(''), chunks.join(''));
        for (const text of texts().slice(0, -1)) assert.equal(text.at(-1), '\n');
        log.close();
        rmSync(folder, { recursive: true });
      }),
      { numRuns: 40 },
    );
  });

  test('many within one millisecond get names of their own', (t) => {
    const { write, texts } = logFile(t, { rotation: { maxBytes: 1 } });
    for (let line = 0; line < 50; line++) write(`${line}\n`);
    assert.deepEqual(
      texts(),
      Array.from({ length: 50 }, (_, line) => `${line}\n`),
    );
  });

  test('the times go along', (t) => {
    const { write, folder, pass } = logFile(t, { rotation: { maxBytes: 6 } });
    write('aa\n');
    pass(1000);
    write('bb\n');
    pass(1000);
    write('cc\n');
    const rotated = readdirSync(folder).find((name) => /^a\.log\.\d/.test(name));
    const times = new TimesReader(join(folder, `${rotated}.gz`), null);
    assert.deepEqual([times.at(0), times.at(3), times.at(100)], [START, START + 1000, START + 1000]);
    times.close();
  });
});

describe('by time', () => {
  test('at the first line of another day, or when it is looked at then', (t) => {
    const { write, texts, pass, log } = logFile(t, { rotation: { interval: 'daily' } });
    write('a\n');
    pass(20 * 3_600_000);
    write('b\n');
    assert.deepEqual(texts(), ['a\nb\n']);
    pass(1 * 3_600_000);
    write('c\n');
    assert.deepEqual(texts(), ['a\nb\n', 'c\n']);
    pass(24 * 3_600_000);
    log.tick();
    assert.deepEqual(texts(), ['a\nb\n', 'c\n', '']);
    pass(24 * 3_600_000);
    log.tick();
    assert.deepEqual(texts(), ['a\nb\n', 'c\n', ''], 'an empty file is not set aside');
  });

  test('not within a line', (t) => {
    const { write, texts, pass, log } = logFile(t, { rotation: { interval: 'hourly' } });
    write('a');
    pass(3_600_000);
    log.tick();
    write('b\nc\n');
    assert.deepEqual(texts(), ['ab\n', 'c\n']);
  });
});

describe('a file that was', () => {
  test('moved away is left, and made anew', (t) => {
    const { write, file, pass, log, folder } = logFile(t);
    write('a\n');
    renameSync(file, join(folder, 'moved'));
    write('b\n');
    pass(1000);
    write('c\n');
    renameSync(file, join(folder, 'moved.2'));
    log.reopen();
    write('d\n');
    assert.equal(readFileSync(join(folder, 'moved'), 'utf8'), 'a\nb\n');
    assert.equal(readFileSync(join(folder, 'moved.2'), 'utf8'), 'c\n');
    assert.equal(readFileSync(file, 'utf8'), 'd\n');
  });

  test('removed is made anew', (t) => {
    const { write, file, pass } = logFile(t);
    write('a\n');
    rmSync(file);
    pass(1000);
    write('b\n');
    assert.equal(readFileSync(file, 'utf8'), 'b\n');
  });

  test('emptied is filled again, and only then set aside', (t) => {
    const { write, file, pass, texts } = logFile(t, { rotation: { maxBytes: 6 } });
    write('aa\nbb\n');
    truncateSync(file);
    pass(1000);
    write('cc\ndd\n');
    assert.deepEqual(texts(), ['cc\ndd\n']);
  });

  test('also written to by another is counted', (t) => {
    const { write, file, pass, texts } = logFile(t, { rotation: { maxBytes: 6 } });
    write('aa\n');
    appendFileSync(file, 'bb\n');
    pass(1000);
    write('cc\n');
    assert.deepEqual(texts(), ['aa\nbb\n', 'cc\n']);
  });

  test('set aside by another writer is not set aside twice', (t) => {
    const { write, file, folder, texts } = logFile(t, { rotation: { maxBytes: 6 } });
    write('aa\nbb\n');
    renameSync(file, join(folder, 'a.log.0'));
    writeFileSync(file, 'new\n');
    write('cc\n');
    assert.deepEqual(texts(), ['aa\nbb\n', 'new\ncc\n']);
  });

  test('left with an unfinished line knows it', (t) => {
    const { file, open } = logFile(t);
    writeFileSync(file, 'a\nunfin');
    const log = open();
    assert.equal(log.inLine, true);
    log.replaceLine((line) => Buffer.from(`[${line}]\n`));
    log.append(Buffer.from('b\n'));
    log.close();
    assert.equal(readFileSync(file, 'utf8'), 'a\n[unfin]\nb\n');
  });
});

describe('a disk that is full', () => {
  /** A log that is on a full disk until `free` is called. */
  function full(t: TestContext) {
    const folder = tempFolder(t);
    const path = join(folder, 'full.log');
    symlinkSync('/dev/full', path);
    const made = logFile(t, { path });
    const free = () => {
      rmSync(path);
      made.pass(1000);
    };
    return { ...made, free, text: () => readFileSync(path, 'utf8') };
  }

  test('loses lines that are counted, and told as soon as there is room', (t) => {
    const { write, free, text, log, losses } = full(t);
    write('a\nb\n');
    write('c\n');
    assert.equal(log.lost.lines, 3);
    assert.equal(log.lost.reason, 'no space left on the disk');
    assert.equal(losses(), 1);
    free();
    write('d\n');
    const [note = '', ...rest] = text().split('\n');
    assert.match(
      note,
      /^upkeep: 3 lines \(6 bytes\) were lost here, between 2026-\S+Z and 2026-\S+Z: no space left on the disk$/,
    );
    assert.deepEqual(rest, ['d', '']);
    assert.equal(log.lost.since, null);
    assert.equal(log.lost.lines, 3);
    assert.equal(losses(), 2);
  });

  test('is told without another line, too', (t) => {
    const { write, free, text, log } = full(t);
    write('a\n');
    free();
    log.tick();
    assert.match(text(), /^upkeep: 1 line \(2 bytes\) were lost here/);
  });

  test('a line of which a part is lost is lost, and the next one is whole', (t) => {
    const { write, free, text, log } = full(t);
    write('a\nbeginning');
    free();
    write(' middle');
    write(' end\nnext\n');
    assert.match(text(), /^upkeep: 2 lines \(11 bytes\) [^\n]*\nnext\n$/);
    assert.equal(log.lost.lines, 2);
  });

  test('is not tried again with each line', (t) => {
    const { write, free, pass, text } = full(t);
    write('a\n');
    pass(500);
    write('b\n');
    free();
    write('c\n');
    assert.match(text(), /^upkeep: 2 lines/);
  });
});

test('a file that can never be written to is told by name', (t) => {
  const folder = tempFolder(t);
  writeFileSync(join(folder, 'file'), '');
  const path = join(folder, 'file/a.log');
  assert.throws(() => logFile(t, { path }), {
    message: `cannot write the log file ${path}: ${join(folder, 'file')} is no folder`,
  });
});

test('without blocking: the same, in order', async (t) => {
  const { log, texts } = logFile(t, { rotation: { maxBytes: 8 } });
  const append = (text: string) => new Promise<void>((resolve) => log.appendLater(Buffer.from(text), resolve));
  await append('aa\nbb\ncc\n');
  await append('dd\n');
  assert.deepEqual(texts(), ['aa\nbb\n', 'cc\ndd\n']);
});
