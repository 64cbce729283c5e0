import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { acquireLock } from '../../src/platform/lock.ts';
import { readProcess } from '../../src/platform/process-table.ts';
import { tempFolder } from '../fakes/temp-folder.ts';

const STALE = JSON.stringify({ pid: 2 ** 30, startTime: '1' });
const lockPath = (t: TestContext): string => join(tempFolder(t), 'daemon.lock');
const startTime = (pid: number): string => readProcess(pid)?.startTime ?? '';

// This file is also the program of the processes that race: they try when told to, tell the result, and stay.
const [, , asked] = process.argv;
if (asked !== undefined && process.send) race(asked);
else tests();

function race(path: string): void {
  // The listener stays, as the process does with it.
  process.on('message', (at: number) => {
    while (Date.now() < at);
    try {
      process.send?.(acquireLock(path));
    } catch (error) {
      process.send?.(String(error));
    }
  });
  process.send?.('there');
}

interface Racer {
  readonly child: ChildProcess;
  /** Tries at that moment. @returns what `acquireLock` did, or the error that it threw. */
  readonly go: (at?: number) => Promise<number | null | string>;
}

async function racer(t: TestContext, path: string): Promise<Racer> {
  const child = fork(import.meta.filename, [path], { execArgv: [] });
  t.after(() => child.kill('SIGKILL'));
  await once(child, 'message');
  const go = async (at = 0) => {
    const answer = once(child, 'message') as Promise<[number | null | string]>;
    child.send(at);
    return (await answer)[0];
  };
  return { child, go };
}

function tests(): void {
  describe('acquireLock', () => {
    test('takes what is free, and says by whom, in a file for the owner only', (t) => {
      const path = lockPath(t);
      assert.equal(acquireLock(path), null);
      const { pid, startTime: started } = JSON.parse(readFileSync(path, 'utf8')) as { pid: number; startTime: string };
      assert.deepEqual([pid, started], [process.pid, startTime(process.pid)]);
      assert.equal(statSync(path).mode & 0o777, 0o600);
      assert.deepEqual(readdirSync(join(path, '..')), ['daemon.lock']);
    });

    test('leaves it to a holder that lives', (t) => {
      const path = lockPath(t);
      const held = JSON.stringify({ pid: process.ppid, startTime: startTime(process.ppid) });
      writeFileSync(path, held);
      assert.equal(acquireLock(path), process.ppid);
      assert.equal(readFileSync(path, 'utf8'), held);
      assert.deepEqual(readdirSync(join(path, '..')), ['daemon.lock']);
    });

    test('reads a link as well, which is what a full disk has room for', (t) => {
      const path = lockPath(t);
      symlinkSync(JSON.stringify({ pid: process.ppid, startTime: startTime(process.ppid) }), path);
      assert.equal(acquireLock(path), process.ppid);
      rmSync(path);
      symlinkSync(STALE, path);
      assert.equal(acquireLock(path), null);
      assert.match(readFileSync(path, 'utf8'), new RegExp(`"pid":${process.pid}\\b`));
    });

    for (const [what, content] of [
      ['whose pid is that of another process now', JSON.stringify({ pid: process.ppid, startTime: 'long ago' })],
      ['whose pid is nobody', STALE],
      ['that was written by half', '{"pid":'],
      ['that is empty', ''],
    ] as const)
      test(`takes over from a holder ${what}`, (t) => {
        const path = lockPath(t);
        writeFileSync(path, content);
        assert.equal(acquireLock(path), null);
        assert.match(readFileSync(path, 'utf8'), new RegExp(`"pid":${process.pid}\\b`));
        assert.deepEqual(readdirSync(join(path, '..')), ['daemon.lock']);
      });

    test('needs no release: it ends with its holder', async (t) => {
      const path = lockPath(t);
      const { child, go } = await racer(t, path);
      assert.equal(await go(), null);
      assert.equal(acquireLock(path), child.pid);
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
      assert.equal(acquireLock(path), null);
    });

    test('has one winner of many, whom the others name', async (t) => {
      const path = lockPath(t);
      const racers = await Promise.all(Array.from({ length: 4 }, () => racer(t, path)));
      const results = await Promise.all(racers.map(({ go }) => go()));
      const winners = racers.filter((_, index) => results[index] === null);
      assert.equal(winners.length, 1, String(results));
      const others = results.filter((result) => result !== null);
      assert.deepEqual(others, Array(3).fill(winners[0]?.child.pid));
    });

    describe('that is stale, found by many at once,', () => {
      async function oneWinner(racers: readonly Racer[], path: string, round: string): Promise<void> {
        const at = Date.now() + 10;
        const results = await Promise.all(racers.map(({ go }) => go(at)));
        const winners = racers.filter((_, index) => results[index] === null);
        assert.equal(winners.length, 1, `${round}: ${String(results)}`);
        const others = results.filter((result) => result !== null);
        assert.deepEqual(others, Array(racers.length - 1).fill(winners[0]?.child.pid), round);
        assert.deepEqual(readdirSync(join(path, '..')), ['daemon.lock']);
      }
      const many = (t: TestContext, path: string) => Promise.all(Array.from({ length: 6 }, () => racer(t, path)));

      test('has one winner, and nobody throws', async (t) => {
        const path = lockPath(t);
        const racers = await many(t, path);
        for (let round = 1; round <= 20; round++) {
          writeFileSync(path, STALE);
          await oneWinner(racers, path, `round ${round}`);
        }
      });

      test('has one winner also when another is slow to break it, or died of that', async (t) => {
        const path = lockPath(t);
        const racers = await many(t, path);
        writeFileSync(path, STALE);
        // In 200 ms it will have been there for too long.
        const since = (Date.now() - 4800) / 1000;
        writeFileSync(`${path}.break`, '');
        utimesSync(`${path}.break`, since, since);
        await oneWinner(racers, path, 'the only round');
      });
    });

    test('is taken from one that died while it broke a stale one', (t) => {
      const path = lockPath(t);
      writeFileSync(path, STALE);
      writeFileSync(`${path}.break`, '');
      const longAgo = Date.now() / 1000 - 60;
      utimesSync(`${path}.break`, longAgo, longAgo);
      assert.equal(acquireLock(path), null);
      assert.deepEqual(readdirSync(join(path, '..')), ['daemon.lock']);
    });
  });
}
