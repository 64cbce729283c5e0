import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, type TestContext, test } from 'node:test';
import { readAllProcesses, readProcess } from '../../src/platform/process-table.ts';
import { ProcessTree } from '../../src/platform/process-tree.ts';

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
    // Soon, at least: the look at the process table may be as old as 20 ms.
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
