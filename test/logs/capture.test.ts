import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import type { LogSpec } from '../../src/domain/app-spec.ts';
import { logStore } from '../../src/logs/capture.ts';
import type { LogCapture, Pipes } from '../../src/supervisor/ports.ts';
import { appSpec } from '../fakes/app-spec.ts';
import { tempFolder } from '../fakes/temp-folder.ts';

/** The files of a test, and the captures that it opens. */
function logs(t: TestContext) {
  // The pipes in stock are made later, when this folder may be gone.
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const folder = tempFolder(t);
  const run = join(folder, 'run');
  mkdirSync(run);
  const store = logStore(run, 'test', async () => {});
  const paths = { out: join(folder, 'logs/out.log'), error: join(folder, 'logs/error.log') };
  return {
    folder,
    run,
    store,
    read: (path: string = paths.out) => readFileSync(path, 'utf8'),
    paths,
    open: (changes: Partial<LogSpec> = {}, index = 0, pipes: Pipes | null = null, by = store): LogCapture => {
      const spec = appSpec({ logs: { ...paths, ...changes } });
      const capture = by.open(spec, { id: index, index, wanted: 'up' }, pipes);
      t.after(() => capture.close());
      return capture;
    },
  };
}

/** Runs JavaScript in a process whose stdout and stderr are captured, until it exits. */
async function run(capture: LogCapture, code: string): Promise<void> {
  const { outFd, errFd, close } = capture.descriptors();
  const child = spawn(process.execPath, ['-e', code], { stdio: ['ignore', outFd, errFd] });
  close();
  await once(child, 'exit');
  capture.drain();
}

/** Writes as a process would, and reads at once. */
function write(capture: LogCapture, out: string, error = ''): void {
  const { outFd, errFd, close } = capture.descriptors();
  if (out) writeSync(outFd, out);
  if (error) writeSync(errFd, error);
  close();
  capture.drain();
}

const numbered = (prefix: string, count: number) => Array.from({ length: count }, (_, index) => `${prefix} ${index}`);

describe('what a process writes', () => {
  test('is in its files, all of it, in order', async (t) => {
    const { open, read, paths } = logs(t);
    const code = `for (let i = 0; i < 20000; i++) { console.log('out', i); if (i % 10 === 0) console.error('err', i / 10); }`;
    await run(open(), code);
    assert.deepEqual(read().split('\n'), [...numbered('out', 20_000), '']);
    assert.deepEqual(read(paths.error).split('\n'), [...numbered('err', 2000), '']);
  });

  test('just before it dies is not lost', async (t) => {
    const { open, read, paths } = logs(t);
    await run(
      open(),
      `fs.writeSync(1, 'last words\\n'); fs.writeSync(2, 'no newline'); process.kill(process.pid, 'SIGKILL')`,
    );
    assert.equal(read(), 'last words\n');
    assert.equal(read(paths.error), 'no newline\n', 'a line ends with its process');
  });

  test('over several runs goes on in the same files', async (t) => {
    const { open, read } = logs(t);
    const capture = open();
    for (const number of [1, 2, 3]) await run(capture, `console.log('run', ${number})`);
    assert.equal(read(), 'run 1\nrun 2\nrun 3\n');
  });

  test('comes after what was in the file', (t) => {
    const { open, read, paths, folder } = logs(t);
    mkdirSync(join(folder, 'logs'));
    writeFileSync(paths.out, 'before\n');
    write(open(), 'after\n');
    assert.equal(read(), 'before\nafter\n');
  });

  test('is read without being asked, while it runs', async (t) => {
    const { open, read } = logs(t);
    const { outFd, close } = open().descriptors();
    writeSync(outFd, 'hello\n');
    while (read() === '') await new Promise((resolve) => setImmediate(resolve));
    assert.equal(read(), 'hello\n');
    close();
  });

  test('never meets a closed pipe, when its reader is gone', (t) => {
    const { open, read } = logs(t);
    const capture = open();
    const { outFd, close } = capture.descriptors();
    writeSync(outFd, 'a\n');
    capture.close();
    assert.equal(writeSync(outFd, 'b\n'), 2);
    assert.equal(read(), 'a\n');
    close();
  });
});

describe('the files', () => {
  test('are for the owner only, in folders for the owner only', (t) => {
    const { open, paths, folder } = logs(t);
    open();
    assert.equal(statSync(paths.out).mode & 0o777, 0o600);
    assert.equal(statSync(join(folder, 'logs')).mode & 0o777, 0o700);
  });

  test('are one for each instance', (t) => {
    const { open, read, folder } = logs(t);
    write(open({}, 0), 'first\n');
    write(open({}, 1), 'second\n');
    assert.equal(read(), 'first\n');
    assert.equal(read(join(folder, 'logs/out-1.log')), 'second\n');
  });

  test('may be none', (t) => {
    const { open, folder } = logs(t);
    const capture = open({ out: null, error: '/dev/null' });
    write(capture, 'nowhere\n', 'but remembered\n');
    assert.deepEqual(readdirSync(folder), ['run']);
    assert.deepEqual(capture.stderrTail(), ['but remembered']);
  });

  test('that cannot be written are told by name, and nothing stays open', (t) => {
    const { open, folder, run } = logs(t);
    writeFileSync(join(folder, 'file'), '');
    const path = join(folder, 'file/out.log');
    const message = `cannot write the log file ${path}: ${join(folder, 'file')} is no folder`;
    assert.throws(() => open({ out: path }), { message });
    assert.deepEqual(readdirSync(run), []);
  });
});

describe('files that several write to', () => {
  test('keep the lines of merged instances whole', (t) => {
    const { open, read } = logs(t);
    const [first, second] = [open({ merge: true }, 0), open({ merge: true }, 1)];
    write(first, 'a1\n');
    const writers = [first.descriptors(), second.descriptors()] as const;
    writeSync(writers[0].outFd, 'half of one');
    write(second, 'b1\n');
    writeSync(writers[0].outFd, ', and the rest\n');
    first.drain();
    for (const { close } of writers) close();
    assert.equal(read(), 'a1\nb1\nhalf of one, and the rest\n');
  });

  test('keep every line of two processes at once', async (t) => {
    const { open, read } = logs(t);
    const code = (name: string) =>
      `for (let i = 0; i < 3000; i++) { process.stdout.write('${name} '); console.log(i); }`;
    await Promise.all(['a', 'b'].map((name, index) => run(open({ merge: true }, index), code(name))));
    const lines = read().trimEnd().split('\n');
    for (const name of ['a', 'b'])
      assert.deepEqual(
        lines.filter((line) => line.startsWith(name)),
        numbered(name, 3000),
      );
    assert.equal(lines.length, 6000);
  });

  test('end the line of a process that died in the middle of it', (t) => {
    const { open, read } = logs(t);
    const [first, second] = [open({ merge: true }, 0), open({ merge: true }, 1)];
    write(first, 'unfinished');
    write(second, 'next\n');
    assert.equal(read(), 'unfinished\nnext\n');
  });

  test('may be one for both streams', (t) => {
    const { open, read, paths } = logs(t);
    write(open({ error: paths.out }), 'out\n', 'error\n');
    assert.equal(read(), 'out\nerror\n');
  });

  test('may be combined beside their own', (t) => {
    const { open, read, paths, folder } = logs(t);
    const combined = join(folder, 'logs/all.log');
    write(open({ combined }), 'out\n', 'error\n');
    assert.deepEqual([read(), read(paths.error), read(combined)], ['out\n', 'error\n', 'out\nerror\n']);
  });
});

describe('two processes of one instance, as during a reload', () => {
  test('do not mix within a line; one alone appends its bytes as they come', async (t) => {
    const { open, read } = logs(t);
    t.mock.timers.reset();
    const [old, young] = [open(), open()];
    const [oldFds, youngFds] = [old.descriptors(), young.descriptors()];
    const holds = async (text: string) => {
      const deadline = Date.now() + 5000;
      while (read() !== text && Date.now() < deadline) await new Promise((resolve) => setImmediate(resolve));
      assert.equal(read(), text);
    };
    writeSync(oldFds.outFd, 'a1\na2 beg');
    await holds('a1\n');
    writeSync(youngFds.outFd, 'b1\nb2 beg');
    await holds('a1\nb1\n');
    writeSync(oldFds.outFd, 'in\n');
    await holds('a1\nb1\na2 begin\n');
    oldFds.close();
    old.close();
    writeSync(youngFds.outFd, 'in, and');
    await holds('a1\nb1\na2 begin\nb2 begin, and');
    writeSync(youngFds.outFd, ' more');
    await holds('a1\nb1\na2 begin\nb2 begin, and more');
    youngFds.close();
  });

  test('a line that one has begun alone ends before the other writes', async (t) => {
    const { open, read } = logs(t);
    t.mock.timers.reset();
    const old = open();
    const oldFds = old.descriptors();
    writeSync(oldFds.outFd, 'a beg');
    while (read() !== 'a beg') await new Promise((resolve) => setImmediate(resolve));
    const young = open();
    const youngFds = young.descriptors();
    writeSync(youngFds.outFd, 'b1\nb2\n');
    youngFds.close();
    young.drain();
    assert.equal(read(), 'a beg');
    writeSync(oldFds.outFd, 'in\nrest');
    while (!read().endsWith('b2\n')) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(read(), 'a begin\nb1\nb2\n');
    old.drain();
    assert.equal(read(), 'a begin\nb1\nb2\nrest\n');
    oldFds.close();
  });
});

describe('a note', () => {
  test('stands on a line of its own, as the log has its lines', (t) => {
    const { open, read, paths } = logs(t);
    const capture = open({ type: 'json' });
    write(capture, '', 'a\n');
    capture.note('something');
    const messages = read(paths.error)
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { message: string }).message);
    assert.deepEqual(messages, ['a', 'upkeep: something']);
    assert.deepEqual(capture.stderrTail(), ['a', 'upkeep: something']);
  });
});

describe('lines that are lost', () => {
  test('are told of, with the reason while more are lost', (t) => {
    const { open, folder } = logs(t);
    const path = join(folder, 'full.log');
    symlinkSync('/dev/full', path);
    const capture = open({ error: path });
    let told = 0;
    capture.watchLost(() => told++);
    assert.equal(capture.lost(), null);
    write(capture, 'kept\n', 'lost\n');
    assert.deepEqual(capture.lost(), { lines: 1, because: 'no space left on the disk' });
    assert.equal(told, 1);
  });
});

/** Another supervisor, that goes on with what the first one has left. */
describe('the next supervisor', () => {
  const KILLED = 'it was killed';
  const shapes: readonly (readonly [name: string, changes: Partial<LogSpec>])[] = [
    ['plain', {}],
    ['with the time', { dateFormat: '[T]' }],
    ['both streams in one file', { error: 'out' }],
    ['JSON', { type: 'json' }],
  ];
  for (const [name, changes] of shapes) {
    const stamp = changes.dateFormat ? 'T: ' : '';

    /** An instance writes this, which one supervisor reads, then that, while there is none; then comes the next. */
    async function twoSupervisors(t: TestContext, before: string, meanwhile: string, killed: boolean) {
      const { store, run, open, read, paths } = logs(t);
      t.mock.timers.reset();
      const logSpec = { ...changes, ...(changes.error ? { error: paths.out } : {}) };
      const first = open(logSpec);
      const { outFd, close } = first.descriptors();
      writeSync(outFd, before);
      while (read() === '') await new Promise((resolve) => setImmediate(resolve));
      await store.leave();
      const held = readdirSync(run).filter((entry) => entry.endsWith('.held'));
      if (killed) for (const entry of held) rmSync(join(run, entry));
      writeSync(outFd, meanwhile);
      const next = logStore(run, 'test', async () => {});
      t.after(() => next.close());
      const second = open(logSpec, 0, first.pipes, next);
      if (killed) second.noteGap(KILLED);
      second.drain();
      close();
      const lines = read().split('\n').slice(0, -1);
      return lines.map((line) => (changes.type === 'json' ? (JSON.parse(line) as { message: string }).message : line));
    }

    test(`goes on within a line that was handed over: ${name}`, async (t) => {
      const lines = await twoSupervisors(t, 'a\nhalf of ', 'a line\nb\n', false);
      assert.deepEqual(lines, [`${stamp}a`, `${stamp}half of a line`, `${stamp}b`]);
    });

    test(`tells of a gap where the one before was killed within a line: ${name}`, async (t) => {
      const [a, gap, ...rest] = await twoSupervisors(t, 'a\nhalf of ', 'another line\nb\n', true);
      const wrote = changes.type === 'json' || changes.error ? '' : `; it had written of a line: ${stamp}half of `;
      assert.deepEqual([a, gap], [`${stamp}a`, `${stamp}upkeep: ${KILLED}${wrote}`]);
      assert.deepEqual(rest, [`${stamp}upkeep: a line whose beginning may be missing: another line`, `${stamp}b`]);
    });

    test(`keeps lines whole where the one before was killed between two: ${name}`, async (t) => {
      const lines = await twoSupervisors(t, 'a\n', 'b\n', true);
      assert.deepEqual(lines, [`${stamp}a`, `${stamp}upkeep: ${KILLED}`, `${stamp}b`]);
    });
  }

  test('tells of a gap where the app has ended too', async (t) => {
    const { run, read, paths, store } = logs(t);
    const slot = { id: 0, index: 0, wanted: 'up' } as const;
    mkdirSync(dirname(paths.out));
    writeFileSync(paths.out, 'a\nhalf');
    store.noteGap(appSpec({ logs: paths }), slot, KILLED);
    store.noteGap(appSpec({ logs: { out: join(run, 'none', 'x\0'), error: null } }), slot, KILLED);
    assert.equal(read(), `a\nupkeep: ${KILLED}; it had written of a line: half\n`);
    assert.equal(read(paths.error), `upkeep: ${KILLED}\n`);
  });

  test('tells of a gap once in each file', async (t) => {
    const { store, run, open, read, paths, folder } = logs(t);
    const combined = join(folder, 'logs/all.log');
    const first = [open({ combined }, 0), open({ combined }, 1)];
    await store.leave();
    const next = logStore(run, 'test', async () => {});
    for (const [index, { pipes }] of first.entries()) open({ combined }, index, pipes, next).noteGap(KILLED);
    for (const path of [paths.out, paths.error, combined]) assert.equal(read(path), `upkeep: ${KILLED}\n`);
  });
});

describe('stderrTail', () => {
  test('has the last lines of this run', (t) => {
    const { open } = logs(t);
    const capture = open();
    write(capture, 'out\n', 'first run\n');
    assert.deepEqual(capture.stderrTail(), ['first run']);
    capture.markRun(appSpec());
    assert.deepEqual(capture.stderrTail(), []);
    write(capture, '', 'second run\nends');
    assert.deepEqual(capture.stderrTail(), ['second run', 'ends']);
  });
});

describe('the pipes', () => {
  test('are for the owner only, and gone when closed', (t) => {
    const { open, run } = logs(t);
    const capture = open();
    const pipes = readdirSync(run);
    assert.equal(pipes.length, 3);
    for (const pipe of pipes) {
      const stat = statSync(join(run, pipe));
      assert.deepEqual([stat.isFIFO(), stat.mode & 0o777], [true, 0o600]);
    }
    capture.close();
    assert.deepEqual(readdirSync(run), []);
  });

  test('are made in advance, and in place of what a dead supervisor left', (t) => {
    const { store, run, open, read } = logs(t);
    writeFileSync(join(run, 'test.0.fifo'), 'left over');
    store.reserve(3);
    assert.equal(readdirSync(run).length, 9);
    write(open(), 'works\n');
    assert.equal(read(), 'works\n');
    assert.equal(readdirSync(run).length, 9);
  });

  test('of one more instance are kept in stock, made when nobody waits', (t) => {
    const { open, run } = logs(t);
    open();
    assert.equal(readdirSync(run).length, 3);
    t.mock.timers.tick(200);
    assert.equal(readdirSync(run).length, 6);
    open({}, 1);
    assert.equal(readdirSync(run).length, 6);
    t.mock.timers.tick(200);
    assert.equal(readdirSync(run).length, 9);
  });
});
