import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import {
  beginRollout,
  isOver,
  type Rollout,
  type RolloutEffect,
  type RolloutEvent,
  stepRollout,
} from '../../src/domain/rollout.ts';

const spawn = (id: number): RolloutEffect => ({ kind: 'spawn', id });
const drain = (id: number): RolloutEffect => ({ kind: 'drain', id });
const discard = (id: number): RolloutEffect => ({ kind: 'discard', id });
const ready = (id: number): RolloutEvent => ({ kind: 'ready', id });
const failed = (id: number): RolloutEvent => ({ kind: 'failed', id, reason: 'crashed' });
const drained = (id: number): RolloutEvent => ({ kind: 'drained', id });
const abort: RolloutEvent = { kind: 'abort', reason: 'stopped' };

const rollout = (more: Partial<Rollout>): Rollout => ({
  waiting: [],
  starting: null,
  draining: [],
  done: [],
  failure: null,
  ...more,
});
const crashed = { id: 1, reason: 'crashed' };
const calledOff = { id: null, reason: 'stopped' };

test('it begins with the first id', () => {
  const { rollout: begun, effects } = beginRollout([3, 1, 2]);
  assert.deepEqual(begun, rollout({ starting: 3, waiting: [1, 2] }));
  assert.deepEqual(effects, [spawn(3)]);
});

test('of nothing it is over at once', () => {
  const { rollout: begun, effects } = beginRollout([]);
  assert.deepEqual([begun, effects, isOver(begun)], [rollout({}), [], true]);
});

describe('a step', () => {
  type Row = readonly [what: string, before: Rollout, event: RolloutEvent, after: Rollout, effects: RolloutEffect[]];
  const ignored = (what: string, before: Rollout, event: RolloutEvent): Row => [what, before, event, before, []];
  const first = rollout({ starting: 1, waiting: [2] });
  const broken = rollout({ failure: crashed, waiting: [2], draining: [0] });
  const rows: readonly Row[] = [
    [
      'ready drains the old one and starts the next beside that',
      first,
      ready(1),
      rollout({ starting: 2, draining: [1] }),
      [drain(1), spawn(2)],
    ],
    [
      'ready of the last one only drains',
      rollout({ starting: 2, draining: [1] }),
      ready(2),
      rollout({ draining: [1, 2] }),
      [drain(2)],
    ],
    [
      'failed discards the new one and ends it all',
      first,
      failed(1),
      rollout({ waiting: [2], failure: crashed }),
      [discard(1)],
    ],
    ['drained is done', rollout({ draining: [1, 2] }), drained(1), rollout({ draining: [2], done: [1] }), []],
    [
      'drained starts nothing',
      rollout({ starting: 2, draining: [1] }),
      drained(1),
      rollout({ starting: 2, done: [1] }),
      [],
    ],
    ['drained is awaited after a failure', broken, drained(0), { ...broken, draining: [], done: [0] }, []],
    [
      'abort discards what starts',
      rollout({ starting: 1, waiting: [2], draining: [0] }),
      abort,
      rollout({ waiting: [2], draining: [0], failure: calledOff }),
      [discard(1)],
    ],
    [
      'abort while only drains run',
      rollout({ draining: [1] }),
      abort,
      rollout({ draining: [1], failure: calledOff }),
      [],
    ],
    ignored('ready of another', first, ready(2)),
    ignored('failed of another', first, failed(2)),
    ignored('failed of one that drains', rollout({ starting: 2, draining: [1] }), failed(1)),
    ignored('ready after the failure', broken, ready(1)),
    ignored('drained of one that never drained', first, drained(1)),
    ignored('a second drained', rollout({ done: [1], starting: 2 }), drained(1)),
    ignored('abort after a failure', broken, abort),
    ignored('abort when all is over', rollout({ done: [1] }), abort),
  ];
  for (const [what, before, event, after, effects] of rows)
    test(what, () => assert.deepEqual(stepRollout(before, event), { rollout: after, effects }));
});

describe('isOver', () => {
  const rows: readonly (readonly [boolean, Partial<Rollout>])[] = [
    [true, { done: [1, 2] }],
    [true, { failure: crashed, waiting: [2] }],
    [false, { waiting: [2] }],
    [false, { starting: 1 }],
    [false, { draining: [1] }],
    [false, { draining: [0], failure: crashed }],
  ];
  for (const [over, more] of rows)
    test(`${over}: ${JSON.stringify(more)}`, () => assert.equal(isOver(rollout(more)), over));
});

const ids = fc.uniqueArray(fc.nat(20), { maxLength: 6 });
const anyEvent: fc.Arbitrary<RolloutEvent> = fc.oneof(
  { weight: 3, arbitrary: fc.nat(20).map(ready) },
  { weight: 1, arbitrary: fc.nat(20).map(failed) },
  { weight: 3, arbitrary: fc.nat(20).map(drained) },
  { weight: 1, arbitrary: fc.constant(abort) },
);

/** Applies an event and checks everything that must hold whatever comes. */
class Checked {
  current: Rollout;
  readonly #ids: readonly number[];
  readonly #ready = new Set<number>();
  readonly #spawned = new Set<number>();

  constructor(ids: readonly number[]) {
    this.#ids = ids;
    const { rollout: begun, effects } = beginRollout(ids);
    this.current = begun;
    this.#check(effects);
  }

  apply(event: RolloutEvent): void {
    const before = this.current;
    if (event.kind === 'ready' && before.starting === event.id) this.#ready.add(event.id);
    const { rollout: after, effects } = stepRollout(before, event);
    this.current = after;
    if (before.failure) assert.ok(!effects.some(({ kind }) => kind === 'spawn'), 'nothing starts after a failure');
    if (isOver(before)) assert.deepEqual(effects, []);
    this.#check(effects);
  }

  #check(effects: readonly RolloutEffect[]): void {
    for (const { kind, id } of effects) {
      if (kind === 'spawn') {
        assert.ok(!this.#spawned.has(id), 'each is started once');
        assert.equal(this.current.starting, id, 'never two that start');
        this.#spawned.add(id);
      } else {
        assert.equal(this.#ready.has(id), kind === 'drain', 'an old one goes only when its successor is ready');
      }
    }
    const { waiting, starting, draining, done, failure } = this.current;
    const failedId = failure?.id ?? null;
    const places = [...waiting, ...draining, ...done, ...(starting === null ? [] : [starting])];
    assert.equal(new Set(places).size, places.length, 'nothing is in two places');
    // An abort takes the one that starts out of its place: its old instance stays.
    const gone = this.#ids.filter((id) => !places.includes(id));
    assert.deepEqual(gone, failedId === null ? gone.slice(0, failure ? 1 : 0) : [failedId]);
  }
}

test('whatever comes, it keeps its promises', () => {
  fc.assert(
    fc.property(ids, fc.array(anyEvent, { maxLength: 60 }), (all, events) => {
      const checked = new Checked(all);
      for (const event of events) checked.apply(event);
    }),
    { numRuns: 1000 },
  );
});

test('when each start and drain ends somehow, in any order, it is over', () => {
  fc.assert(
    fc.property(
      ids,
      fc.array(fc.record({ drainFirst: fc.boolean(), fails: fc.nat(5) }), { minLength: 20, maxLength: 20 }),
      (all, luck) => {
        const checked = new Checked(all);
        for (const { drainFirst, fails } of luck) {
          const { starting, draining } = checked.current;
          const [oldest] = draining;
          if (oldest !== undefined && (drainFirst || starting === null)) checked.apply(drained(oldest));
          else if (starting !== null) checked.apply(fails === 0 ? failed(starting) : ready(starting));
        }
        const { current } = checked;
        assert.ok(isOver(current));
        assert.equal(current.done.length + current.waiting.length + (current.failure ? 1 : 0), all.length);
        if (!current.failure) assert.deepEqual(current.waiting, []);
      },
    ),
    { numRuns: 500 },
  );
});
