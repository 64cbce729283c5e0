import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { RestartSpec } from '../../src/domain/app-spec.ts';
import {
  decideRestart,
  describeExit,
  FRESH_HISTORY,
  type RestartDecision,
  type RestartHistory,
  type Run,
} from '../../src/domain/restart-policy.ts';
import { appSpec } from '../fakes/app-spec.ts';

const defaults = appSpec().restart;
const crash: Run = { exit: { code: 1, signal: null }, uptimeMs: 5000, wasReady: true };
const done: Run = { ...crash, exit: { code: 0, signal: null } };
const shot: Run = { ...crash, exit: { code: null, signal: 'SIGTERM' } };
const unstable = (count: number): RestartHistory => ({ unstable: count, backoffMs: 0, shortages: 0, givenUp: 0 });

describe('describeExit', () => {
  for (const [exit, text] of [
    [{ code: 0, signal: null }, 'code 0'],
    [{ code: 137, signal: null }, 'code 137'],
    [{ code: null, signal: 'SIGKILL' }, 'signal SIGKILL'],
    [{ code: null, signal: null }, 'no process'],
  ] as const)
    test(text, () => assert.equal(describeExit(exit), text));
});

describe('whether to start again', () => {
  type Row = readonly [
    what: string,
    spec: Partial<RestartSpec>,
    history: RestartHistory,
    run: Run,
    kind: RestartDecision['kind'],
  ];
  const rows: readonly Row[] = [
    ['a crash is restarted', {}, FRESH_HISTORY, crash, 'restart'],
    ['so is an end without error', {}, FRESH_HISTORY, done, 'restart'],
    ['so is a death by signal', {}, FRESH_HISTORY, shot, 'restart'],
    ['a listed exit code means done', { stopExitCodes: [0, 3] }, FRESH_HISTORY, done, 'stop'],
    ['another one does not', { stopExitCodes: [0, 3] }, FRESH_HISTORY, crash, 'restart'],
    ['a signal is no exit code', { stopExitCodes: [0, 15, 143] }, FRESH_HISTORY, shot, 'restart'],
    ['without autorestart code 0 is the end', { autorestart: false }, FRESH_HISTORY, done, 'stop'],
    ['without autorestart an error is one', { autorestart: false }, FRESH_HISTORY, crash, 'give-up'],
    ['without autorestart a signal is an error', { autorestart: false }, FRESH_HISTORY, shot, 'give-up'],
    [
      'a listed code is no error without autorestart',
      { autorestart: false, stopExitCodes: [1] },
      FRESH_HISTORY,
      crash,
      'stop',
    ],
    ['one unstable run too few', { maxRestarts: 3 }, unstable(1), { ...crash, uptimeMs: 10 }, 'restart'],
    ['the last unstable run', { maxRestarts: 3 }, unstable(2), { ...crash, uptimeMs: 10 }, 'give-up'],
    ['a stable run in between', { maxRestarts: 3 }, unstable(2), crash, 'restart'],
    ['a long run that never got ready', { maxRestarts: 3 }, unstable(2), { ...crash, wasReady: false }, 'give-up'],
    ['a run of just the minimum', { maxRestarts: 3, minUptimeMs: 5000 }, unstable(2), crash, 'restart'],
    ['a run just below it', { maxRestarts: 3, minUptimeMs: 5001 }, unstable(2), crash, 'give-up'],
    ['a stable run where not one unstable is allowed', { maxRestarts: 0 }, FRESH_HISTORY, crash, 'restart'],
    ['the first unstable one there', { maxRestarts: 0 }, FRESH_HISTORY, { ...crash, uptimeMs: 10 }, 'give-up'],
    ['a listed code is done, even at last', { maxRestarts: 1, stopExitCodes: [1] }, unstable(9), crash, 'stop'],
  ];
  for (const [what, spec, history, run, kind] of rows)
    test(what, () => assert.equal(decideRestart({ ...defaults, ...spec }, history, run, 0.5).kind, kind));

  test('the count of unstable runs goes up, and back to 0 by a stable one', () => {
    const count = (run: Run) => {
      const decision = decideRestart(defaults, unstable(4), run, 0.5);
      return decision.kind === 'restart' ? decision.history.unstable : null;
    };
    assert.deepEqual([count({ ...crash, uptimeMs: 10 }), count(crash)], [5, 0]);
  });

  test('every decision tells the reason', () => {
    const reason = (spec: Partial<RestartSpec>, run: Run) =>
      decideRestart({ ...defaults, ...spec }, unstable(1), run, 0.5).reason;
    assert.equal(reason({}, shot), 'exited with signal SIGTERM');
    assert.equal(reason({ stopExitCodes: [1] }, crash), 'exited with code 1, which is listed in stop_exit_codes');
    assert.equal(reason({ autorestart: false }, crash), 'exited with code 1; autorestart is off');
    const short = { ...crash, uptimeMs: 10, wasReady: false };
    const late = { ...crash, wasReady: false };
    const none = { ...short, exit: { code: null, signal: null } };
    assert.equal(reason({ autorestart: false }, none), 'autorestart is off');
    const both = '2 runs in a row ended before they were ready, or before 1000 ms of uptime';
    assert.equal(reason({ maxRestarts: 2 }, short), `${both}, the last with code 1`);
    assert.equal(reason({ maxRestarts: 2 }, none), both);
    const one = (run: Run) => decideRestart({ ...defaults, maxRestarts: 1 }, FRESH_HISTORY, run, 0.5).reason;
    assert.equal(one(short), 'the run ended before 1000 ms of uptime, with code 1');
    assert.equal(one(late), 'the run ended before it was ready, with code 1');
    assert.equal(one(none), 'the run could not be started');
  });
});

describe('when to start again', () => {
  const delay = (spec: Partial<RestartSpec>, backoffMs: number, uptimeMs = 5000) => {
    const decision = decideRestart(
      { ...defaults, ...spec },
      { unstable: 0, backoffMs, shortages: 3, givenUp: 0 },
      { ...crash, uptimeMs },
      0.5,
    );
    return decision.kind === 'restart' ? [decision.delayMs, decision.history.backoffMs] : null;
  };
  const rows = [
    ['at once', {}, 0, [0, 0]],
    ['after a fixed delay', { delayMs: 700 }, 0, [700, 0]],
    ['after the first backoff', { backoffMs: 100 }, 0, [100, 100]],
    ['after one and a half times the last', { backoffMs: 100 }, 100, [150, 150]],
    ['rounded up', { backoffMs: 100 }, 225, [338, 338]],
    ['at most after 15 s', { backoffMs: 100 }, 14_000, [15_000, 15_000]],
    ['and no first backoff above that', { backoffMs: 60_000 }, 0, [15_000, 15_000]],
    ['a backoff goes before a fixed delay', { backoffMs: 100, delayMs: 700 }, 0, [100, 100]],
  ] as const;
  for (const [what, spec, last, expected] of rows) test(what, () => assert.deepEqual(delay(spec, last), expected));

  test('a run of 30 s ends the backoff', () => {
    assert.deepEqual(delay({ backoffMs: 100 }, 5000, 29_999), [7500, 7500]);
    assert.deepEqual(delay({ backoffMs: 100 }, 5000, 30_000), [100, 100]);
  });
});

describe('unstable runs where no delay was asked for', () => {
  const waits = (spec: Partial<RestartSpec>, chance: number): readonly (number | null)[] => {
    const found: (number | null)[] = [];
    let history = FRESH_HISTORY;
    for (let run = 0; run < 40; run++) {
      const decision = decideRestart({ ...defaults, ...spec }, history, { ...crash, uptimeMs: 10 }, chance);
      if (decision.kind !== 'restart') break;
      found.push(decision.delayMs);
      ({ history } = decision);
    }
    return found;
  };
  const sum = (times: readonly (number | null)[]): number => times.reduce<number>((total, ms) => total + (ms ?? 0), 0);

  test('are followed by the next at once, and then at growing intervals, about twenty seconds in all', () => {
    const all = waits({}, 0.5);
    assert.equal(all.length, 15);
    assert.deepEqual(all.slice(0, 6), [0, 0, 0, 100, 146, 213]);
    assert.deepEqual(
      all,
      all.toSorted((a, b) => (a ?? 0) - (b ?? 0)),
    );
    assert.ok(sum(all) > 18_000 && sum(all) < 22_000, String(sum(all)));
  });

  test('which is not the same for all', () => {
    assert.ok(sum(waits({}, 0)) > 9000 && sum(waits({}, 0)) < sum(waits({}, 0.5)) - 5000);
    assert.ok(sum(waits({}, 1)) < 35_000 && sum(waits({}, 1)) > sum(waits({}, 0.5)) + 5000);
  });

  test('with more of them than sixteen they do not grow for ever', () => {
    assert.equal(waits({ maxRestarts: 100 }, 0.5).at(-1), 10_000);
  });

  test('with a delay, that', () => {
    assert.deepEqual(new Set(waits({ delayMs: 700 }, 0.9)), new Set([700]));
    assert.deepEqual(waits({ backoffMs: 100, maxRestarts: 4 }, 0.9), [100, 150, 225]);
  });

  test('a stable run is followed by the next at once', () => {
    const decision = decideRestart(defaults, unstable(12), crash, 0.5);
    assert.equal(decision.kind === 'restart' && decision.delayMs, 0);
  });
});

describe('one that was given up', () => {
  const retries = (spec: Partial<RestartSpec>): readonly (number | null)[] => {
    let history = unstable(15);
    return Array.from({ length: 7 }, () => {
      const decision = decideRestart({ ...defaults, ...spec }, history, { ...crash, uptimeMs: 10 }, 0.5);
      if (decision.kind !== 'give-up') return -1;
      ({ history } = decision);
      return decision.nextTryMs;
    });
  };

  test('is tried again after a minute, and each time after twice as long, up to a quarter of an hour', () => {
    assert.deepEqual(
      retries({}).map((ms) => (ms ?? 0) / 60_000),
      [1, 2, 4, 8, 15, 15, 15],
    );
  });

  test('a stable run clears that', () => {
    const decision = decideRestart(defaults, { ...unstable(20), givenUp: 4 }, crash, 0.5);
    assert.deepEqual(decision.kind === 'restart' && decision.history, FRESH_HISTORY);
  });

  test('never, without errored_retry or autorestart', () => {
    assert.deepEqual(new Set(retries({ erroredRetry: false })), new Set([null]));
    assert.deepEqual(new Set(retries({ autorestart: false })), new Set([null]));
  });
});
