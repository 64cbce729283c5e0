import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import { renderList, sortViews } from '../../../src/cli/render/list.ts';
import type { InstanceView } from '../../../src/protocol/messages.ts';

const NOW = 1_000_000;
const view = (changes: Partial<InstanceView> = {}): InstanceView => ({
  key: 'k1',
  id: 0,
  index: 0,
  name: 'api',
  namespace: 'default',
  mode: 'cluster',
  state: { kind: 'online', pid: 42, since: NOW - 90_000 },
  pid: 42,
  restarts: 3,
  unstable: 0,
  lastExit: null,
  exits: [],
  unhealthy: null,
  lost: null,
  listens: [],
  draining: [],
  generation: 1,
  cpuPercent: 12.5,
  rssBytes: 50 * 1024 ** 2,
  ...changes,
});
const stopped = view({
  state: { kind: 'stopped', reason: 'stopped by command' },
  pid: null,
  cpuPercent: null,
  rssBytes: null,
});
const render = (...views: readonly InstanceView[]) => stripVTControlCharacters(renderList(views, NOW));
/** The cells of the row that starts with this id. */
const row = (text: string, id: number): readonly string[] | undefined =>
  text
    .split('\n')
    .map((line) => line.split(/\s*[│|]\s*|\s{2,}/).filter((cell) => cell !== ''))
    .find(([first]) => first === String(id));

describe('renderList', () => {
  test('has a row for each instance', () => {
    const text = render(view(), { ...stopped, id: 1 });
    assert.deepEqual(row(text, 0), ['0', 'api', 'cluster', '42', '1m', '3', 'online', '12.5%', '50.0 MB']);
    assert.deepEqual(row(text, 1), ['1', 'api', 'cluster', '-', '-', '3', 'stopped', '-', '-']);
  });

  test('has columns that stand below each other', () => {
    const text = render(view(), view({ id: 10, name: 'a-longer-name', restarts: 1000 }));
    const lines = text.split('\n').filter((line) => /online|status/.test(line));
    assert.equal(lines.length, 3);
    assert.equal(new Set(lines.map((line) => Math.max(line.indexOf('online'), line.indexOf('status')))).size, 1);
  });

  test('names namespaces where there are several', () => {
    assert.doesNotMatch(render(view(), view({ id: 1 })), /default/);
    const text = render(view(), view({ id: 1, namespace: 'jobs' }));
    assert.match(text, /default\/api/);
    assert.match(text, /jobs\/api/);
  });

  test('shows what drains, and what waits', () => {
    assert.match(render(view({ draining: [41, 40] })), /online \(\+2 draining\)/);
    const backoff = { kind: 'backoff', until: NOW + 1500, reason: 'exited with code 1' } as const;
    const text = render({ ...stopped, state: backoff });
    assert.match(text, /waiting restart/);
    assert.match(text, /^api \(0\) exited with code 1; next try in 2s$/m);
  });

  test('shows when what was given up is tried again', () => {
    const at = new Date(2026, 4, 1, 14, 3).getTime();
    const errored = { kind: 'errored', reason: 'exited with code 1' } as const;
    assert.match(render({ ...stopped, state: { ...errored, nextTryAt: at } }), /│ errored, next try 14:03 │/);
    assert.match(render({ ...stopped, state: { ...errored, nextTryAt: null } }), /│ errored │/);
    assert.match(render({ ...stopped, state: errored }), /│ errored │/);
  });

  test('shows the new one of a reload', () => {
    const successor = { pid: 43, stage: 'starting' } as const;
    assert.match(render(view({ successor })), /online \(\+1 starting\)/);
    const canary = { ...successor, stage: 'canary' } as const;
    assert.match(render(view({ successor: canary, draining: [41] })), /online \(\+1 canary, \+1 draining\)/);
    assert.match(render(view({ successor: null })), /online +│/);
  });

  test('says once why instances of an app are errored', () => {
    const errored = { ...stopped, state: { kind: 'errored', reason: '16 runs in a row ended' } } as const;
    const text = render(errored, { ...errored, id: 1 }, { ...errored, id: 2, name: 'job' });
    assert.match(text, /^api \(0, 1\) is errored: 16 runs in a row ended$/m);
    assert.match(text, /^job \(2\) is errored: 16 runs in a row ended$/m);
  });

  test('says whose logs have gaps, and why', () => {
    const losing = view({ lost: { lines: 5, because: 'no space left on the disk' } });
    const past = view({ id: 2, lost: { lines: 7, because: null } });
    const text = render(losing, { ...losing, id: 1, lost: { lines: 6, because: 'no space left on the disk' } }, past);
    assert.match(text, /^api \(0, 1\) is losing what it writes to its logs: no space left on the disk$/m);
    assert.doesNotMatch(text, /^api \(.*2/m, 'what is over is for describe to tell');
    const both = view({ unhealthy: 'it is slow', lost: { lines: 5, because: 'EIO' } });
    assert.match(render(both), /^api \(0\) is unhealthy: it is slow\napi \(0\) is losing .*: EIO$/m);
    assert.doesNotMatch(render(view()), /logs/);
  });

  test('says how to begin, of nothing', () => {
    assert.equal(render(), 'No apps yet. Start one: upkeep start app.js');
  });
});

describe('sortViews', () => {
  const views = [
    view({ id: 0, name: 'b', rssBytes: 10 }),
    view({ id: 1, name: 'a', rssBytes: null, state: { kind: 'online', pid: 1, since: NOW } }),
    { ...stopped, id: 2, name: 'c', rssBytes: 99 },
  ];
  for (const [order, ids] of [
    ['name', [1, 0, 2]],
    ['name:desc', [2, 0, 1]],
    ['id:desc', [2, 1, 0]],
    ['memory', [1, 0, 2]],
    ['memory:desc', [2, 0, 1]],
    ['uptime:desc', [0, 1, 2]],
    ['status', [0, 1, 2]],
    ['colour', [0, 1, 2]],
    ['', [0, 1, 2]],
  ] as const)
    test(`by ${order || 'nothing'}`, () =>
      assert.deepEqual(
        sortViews(views, order).map(({ id }) => id),
        ids,
      ));
});
