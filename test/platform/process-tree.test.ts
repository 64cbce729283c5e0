import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, type TestContext, test } from 'node:test';
import type { Cgroup } from '../../src/platform/cgroups.ts';
import { newestPid, readAllProcesses, readProcess } from '../../src/platform/process-table.ts';
import { type Processes, ProcessTree } from '../../src/platform/process-tree.ts';
import type { ProcessStat } from '../../src/supervisor/ports.ts';

interface Family {
  readonly parent: ChildProcess;
  readonly tree: ProcessTree;
  readonly childPid: number;
  readonly isAlive: (pid: number) => boolean;
}

const isAlive = (pid: number): boolean => {
  const stat = readProcess(pid);
  return stat !== null && !stat.zombie;
};

/** A process in a group of its own that has started another one, both of which wait. */
async function family(t: TestContext, { childOptions = '{}', parentOn = '' } = {}): Promise<Family> {
  const sleeper = JSON.stringify('setInterval(() => {}, 1e6); process.send("there")');
  const code = `
    const options = { ...${childOptions}, stdio: ['ignore', 'ignore', 'ignore', 'ipc'] };
    const child = require('node:child_process').spawn(process.execPath, ['-e', ${sleeper}], options);
    child.once('message', () => { child.disconnect(); child.unref(); process.send(child.pid); });
    ${parentOn}
    setInterval(() => {}, 1e6);`;
  const parent = spawn(process.execPath, ['-e', code], {
    detached: true,
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const [childPid] = (await once(parent, 'message')) as [number];
  const tree = new ProcessTree(parent.pid as number, true);
  t.after(() => {
    tree.forget();
    for (const pid of [parent.pid as number, childPid]) if (isAlive(pid)) process.kill(pid, 'SIGKILL');
  });
  return { parent, tree, childPid, isAlive };
}

const gone = (tree: ProcessTree) => new Promise<void>((resolve) => tree.whenGone(resolve));

describe('a process tree', () => {
  test('is signalled as a whole', async (t) => {
    const { parent, tree, childPid } = await family(t);
    const exit = once(parent, 'exit');
    tree.signal('SIGTERM');
    assert.deepEqual(await exit, [null, 'SIGTERM']);
    await gone(tree);
    assert.equal(isAlive(childPid), false);
  });

  test('knows what its main process left behind', async (t) => {
    const { parent, tree, childPid } = await family(t, { parentOn: "process.on('SIGUSR2', () => process.exit(3));" });
    const exit = once(parent, 'exit');
    process.kill(parent.pid as number, 'SIGUSR2');
    await exit;
    assert.deepEqual([tree.hasDescendants(), isAlive(childPid)], [true, true]);
    tree.signal('SIGKILL');
    await gone(tree);
    assert.deepEqual([tree.hasDescendants(), isAlive(childPid)], [false, false]);
  });

  test('without its main process does not signal the pid of that, which may be another', async (t) => {
    const { parent, tree, childPid } = await family(t);
    tree.mainExited();
    tree.signal('SIGTERM');
    await gone(tree);
    assert.deepEqual([isAlive(childPid), isAlive(parent.pid as number)], [false, true]);
  });

  test('includes a child that has a group of its own, once it was seen', async (t) => {
    const { parent, tree, childPid } = await family(t, {
      childOptions: '{ detached: true }',
      parentOn: "process.on('SIGUSR2', () => {});",
    });
    tree.signal('SIGCONT');
    const exit = once(parent, 'exit');
    process.kill(parent.pid as number, 'SIGKILL');
    await exit;
    assert.equal(tree.hasDescendants(), true);
    tree.signal('SIGKILL');
    await gone(tree);
    assert.equal(isAlive(childPid), false);
  });

  test('without descendants is gone, although its main process lives', async (t) => {
    const { parent, tree, childPid } = await family(t);
    process.kill(childPid, 'SIGKILL');
    while (isAlive(childPid)) await new Promise((resolve) => setImmediate(resolve));
    await gone(tree);
    assert.equal(isAlive(parent.pid as number), true);
  });

  test('that is forgotten tells nothing any more', async (t) => {
    const { tree } = await family(t);
    let told = false;
    tree.whenGone(() => {
      told = true;
    });
    tree.forget();
    tree.signal('SIGKILL');
    await gone(tree);
    assert.equal(told, false);
  });
});

interface Row {
  readonly pid: number;
  readonly ppid?: number;
  readonly group?: number;
  readonly start?: string;
  readonly mark?: string;
}

/** A process table in which anything may happen between two looks. */
class FakeProcesses implements Processes {
  rows: readonly (ProcessStat & { readonly mark: string | null })[] = [];
  /** What was signalled, 0 excepted. */
  readonly sent: [pid: number, signal: string][] = [];

  now(...rows: readonly Row[]): void {
    this.rows = rows.map(({ pid, ppid = 1, group = pid, start = 'first', mark = null }) => {
      return { pid, ppid, group, mark, startTime: start, zombie: false, cpuMs: 0, rssBytes: 1 };
    });
  }

  readonly all = () => this.rows;
  newest = (): number => 0;
  readonly one = (pid: number) => this.rows.find((row) => row.pid === pid) ?? null;
  readonly marked = (mark: string) => this.rows.filter((row) => row.mark === mark);
  readonly signal = (pid: number, signal: string | 0) => {
    if (signal !== 0) this.sent.push([pid, signal]);
    return this.rows.some((row) => (pid < 0 ? row.group === -pid : row.pid === pid));
  };
}

describe('a pid that is a stranger by now', () => {
  const MAIN = { pid: 100, ppid: 5 };
  const start = (...others: readonly Row[]): { tree: ProcessTree; table: FakeProcesses } => {
    const table = new FakeProcesses();
    table.now(MAIN, ...others);
    return { tree: new ProcessTree(100, true, { mark: 'ours', cgroup: null }, table), table };
  };

  test('is not signalled as the main process', () => {
    const { tree, table } = start();
    table.now({ ...MAIN, start: 'later' }, { pid: 101, ppid: 100, group: 101 });
    tree.signal('SIGTERM');
    assert.deepEqual(table.sent, []);
  });

  test('is not signalled as a descendant, nor is what it has started', () => {
    const { tree, table } = start({ pid: 101, ppid: 100, group: 101 });
    tree.signal('SIGTERM');
    assert.deepEqual(table.sent.splice(0), [
      [100, 'SIGTERM'],
      [101, 'SIGTERM'],
    ]);
    table.now(MAIN, { pid: 101, start: 'later' }, { pid: 102, ppid: 101, group: 101 });
    tree.signal('SIGTERM');
    assert.deepEqual(table.sent, [[100, 'SIGTERM']]);
    assert.equal(tree.hasDescendants(), false);
  });

  test('that the main process had: what it starts is not of the tree, nor is its group', () => {
    const { tree, table } = start();
    table.now();
    tree.mainExited();
    table.now({ pid: 100, start: 'later' }, { pid: 101, ppid: 100, group: 100 });
    assert.equal(tree.hasDescendants(), false);
    tree.signal('SIGKILL');
    assert.deepEqual(table.sent, []);
  });

  test('that the main process had leads a group, after the group of the tree was empty', async () => {
    const { tree, table } = start({ pid: 101, ppid: 100, group: 100 });
    table.now({ pid: 101, group: 100 });
    tree.mainExited();
    assert.equal(tree.hasDescendants(), true);
    table.now({ pid: 100, start: 'later' }, { pid: 102, ppid: 100, group: 100, start: 'later' });
    assert.equal(tree.hasDescendants(), false);
    // Its leader ends, and only its members are left.
    table.now({ pid: 102, group: 100, start: 'later' });
    assert.equal(tree.hasDescendants(), false);
    tree.signal('SIGKILL');
    assert.deepEqual(table.sent, []);
  });

  test('does not hide what carries the mark of the tree, wherever that is', () => {
    const { tree, table } = start();
    table.now({ pid: 200, mark: 'ours' }, { pid: 201, ppid: 200 }, { pid: 202, mark: 'other' });
    tree.mainExited();
    assert.equal(tree.hasDescendants(), true);
    tree.signal('SIGKILL');
    assert.deepEqual(table.sent, [
      [200, 'SIGKILL'],
      [201, 'SIGKILL'],
    ]);
  });

  test('a supervisor that runs within a tree spares itself', () => {
    const { tree, table } = start({ pid: process.pid, ppid: 100 });
    tree.signal('SIGTERM');
    assert.deepEqual(table.sent, [[100, 'SIGTERM']]);
  });
});

describe('what forks while it is looked for', () => {
  test('is there as long as its cgroup is not empty, whatever a list of pids says', () => {
    const table = new FakeProcesses();
    const removed: string[] = [];
    let isPopulated = true;
    const cgroup: Cgroup = {
      folder: '/none',
      pids: () => [],
      isPopulated: () => isPopulated,
      kill: () => {},
      remove: () => removed.push('removed'),
    };
    const tree = new ProcessTree(100, true, { mark: null, cgroup }, table);
    tree.mainExited();
    assert.deepEqual([tree.hasDescendants(), removed], [true, []]);
    isPopulated = false;
    assert.deepEqual([tree.hasDescendants(), removed], [false, ['removed']]);
  });

  test('is looked for once more without a cgroup', () => {
    const table = new FakeProcesses();
    const tree = new ProcessTree(100, true, { mark: 'ours', cgroup: null }, table);
    tree.mainExited();
    assert.equal(tree.hasDescendants(), false);
    let newest = 0;
    table.newest = () => {
      // It was made after the look.
      if (newest++ === 1) table.now({ pid: 102, mark: 'ours' });
      return newest;
    };
    assert.equal(tree.hasDescendants(), true);
  });
});

describe('the process table', () => {
  test('has this process, by pid, parent and start', () => {
    const own = readProcess(process.pid);
    assert.ok(own);
    assert.deepEqual([own.pid, own.ppid, own.zombie], [process.pid, process.ppid, false]);
    assert.notEqual(own.startTime, '');
    assert.ok(own.rssBytes > 1024 * 1024 && own.cpuMs > 0);
    assert.equal(readProcess(process.pid)?.startTime, own.startTime);
    const { rss } = process.memoryUsage();
    assert.ok(Math.abs(own.rssBytes - rss) < rss / 2, `${own.rssBytes} is about ${rss}`);
  });

  test('has all processes', () => {
    const pids = new Set(readAllProcesses().map(({ pid }) => pid));
    assert.ok(pids.has(process.pid) && pids.has(process.ppid));
  });

  test('tells that a process was made', { skip: process.platform !== 'linux' }, async () => {
    const before = newestPid();
    assert.ok(before > 0);
    await once(spawn('true'), 'exit');
    assert.notEqual(newestPid(), before);
  });

  test('has none that is not there', () => {
    assert.equal(readProcess(2 ** 30), null);
  });

  test('is not confused by a name with spaces and parentheses', { skip: process.platform !== 'linux' }, async (t) => {
    const code = "process.title = 'a) R 1 (b'; process.send('there'); setInterval(() => {}, 1e6)";
    const child = spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] });
    t.after(() => child.kill('SIGKILL'));
    await once(child, 'message');
    const stat = readProcess(child.pid as number);
    assert.deepEqual([stat?.ppid, stat?.zombie], [process.pid, false]);
  });
});
