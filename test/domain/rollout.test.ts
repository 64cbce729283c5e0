import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  beginRollout,
  isOver,
  type Rollout,
  type RolloutEffect,
  type RolloutEvent,
  type RolloutLimits,
  stepRollout,
} from '../../src/domain/rollout.ts';
import * as fc from '../fakes/fast-check.ts';

const spawn = (id: number): RolloutEffect => ({ kind: 'spawn', id });
const drain = (id: number): RolloutEffect => ({ kind: 'drain', id });
const replace = (id: number): RolloutEffect => ({ kind: 'replace', id });
const discard = (id: number): RolloutEffect => ({ kind: 'discard', id });
const ready = (id: number): RolloutEvent => ({ kind: 'ready', id });
const failed = (id: number): RolloutEvent => ({ kind: 'failed', id, reason: 'crashed' });
const drained = (id: number): RolloutEvent => ({ kind: 'drained', id });
const abort: RolloutEvent = { kind: 'abort', reason: 'stopped' };

const ONE: RolloutLimits = { maxSurge: 1, maxUnavailable: 0 };

const rollout = (more: Partial<Rollout>): Rollout => ({
  limits: ONE,
  onTrial: false,
  waiting: [],
  starting: [],
  inPlace: [],
  draining: [],
  done: [],
  failure: null,
  ...more,
});
const crashed = { id: 1, reason: 'crashed' };
const calledOff = { id: null, reason: 'stopped' };

test('it begins with the first id', () => {
  const { rollout: begun, effects } = beginRollout([3, 1, 2], ONE);
  assert.deepEqual(begun, rollout({ onTrial: true, starting: [3], waiting: [1, 2] }));
  assert.deepEqual(effects, [spawn(3)]);
});

test('of nothing it is over at once', () => {
  const { rollout: begun, effects } = beginRollout([], ONE);
  assert.deepEqual([begun, effects, isOver(begun)], [rollout({ onTrial: true }), [], true]);
});

describe('a step', () => {
  type Row = readonly [what: string, before: Rollout, event: RolloutEvent, after: Rollout, effects: RolloutEffect[]];
  const ignored = (what: string, before: Rollout, event: RolloutEvent): Row => [what, before, event, before, []];
  const first = rollout({ starting: [1], waiting: [2] });
  const broken = rollout({ failure: crashed, waiting: [2], draining: [0] });
  const rows: readonly Row[] = [
    [
      'ready drains the old one and starts the next beside that',
      first,
      ready(1),
      rollout({ starting: [2], draining: [1] }),
      [drain(1), spawn(2)],
    ],
    [
      'ready of the last one only drains',
      rollout({ starting: [2], draining: [1] }),
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
      rollout({ starting: [2], draining: [1] }),
      drained(1),
      rollout({ starting: [2], done: [1] }),
      [],
    ],
    ['drained is awaited after a failure', broken, drained(0), { ...broken, draining: [], done: [0] }, []],
    [
      'abort discards what starts',
      rollout({ starting: [1], waiting: [2], draining: [0] }),
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
    ignored('failed of one that drains', rollout({ starting: [2], draining: [1] }), failed(1)),
    ignored('ready after the failure', broken, ready(1)),
    ignored('drained of one that never drained', first, drained(1)),
    ignored('a second drained', rollout({ done: [1], starting: [2] }), drained(1)),
    ignored('abort after a failure', broken, abort),
    ignored('abort when all is over', rollout({ done: [1] }), abort),
  ];
  for (const [what, before, event, after, effects] of rows)
    test(what, () => assert.deepEqual(stepRollout(before, event), { rollout: after, effects }));
});

describe('more than one at a time', () => {
  const begin = (limits: RolloutLimits) => beginRollout([1, 2, 3, 4], limits);
  /** The first one has passed its trial. */
  const tried = (limits: RolloutLimits) => stepRollout(begin(limits).rollout, ready(1)).rollout;

  test('the first one is alone until it is ready', () => {
    const { rollout: begun, effects } = begin({ maxSurge: 3, maxUnavailable: 1 });
    assert.deepEqual(effects, [spawn(1)]);
    assert.deepEqual(stepRollout(begun, ready(1)).effects, [drain(1), spawn(2), spawn(3), spawn(4)]);
    assert.deepEqual(stepRollout(begun, failed(1)).effects, [discard(1)]);
  });

  test('then as many start beside the old ones as the surge allows', () => {
    const begun = tried({ maxSurge: 2, maxUnavailable: 0 });
    assert.deepEqual([begun.starting, begun.waiting], [[2, 3], [4]]);
    assert.deepEqual(stepRollout(begun, ready(3)).effects, [drain(3), spawn(4)]);
  });

  test('as many go first as may be unavailable', () => {
    const { rollout: begun, effects } = begin({ maxSurge: 0, maxUnavailable: 2 });
    assert.deepEqual(effects, [replace(1)]);
    const next = stepRollout(begun, ready(1));
    assert.deepEqual([next.effects, next.rollout.done], [[replace(2), replace(3)], [1]]);
  });

  test('both ways at once', () => {
    const begun = tried({ maxSurge: 1, maxUnavailable: 2 });
    assert.deepEqual([begun.starting, begun.inPlace], [[2], [3, 4]]);
  });

  test('one that fails ends all that start beside it, but not what has gone first', () => {
    const begun = tried({ maxSurge: 2, maxUnavailable: 1 });
    const { rollout: failing, effects } = stepRollout(begun, failed(2));
    assert.deepEqual(effects, [discard(2), discard(3)]);
    assert.deepEqual([failing.inPlace, isOver(failing)], [[4], false]);
    const { rollout: draining, effects: none } = stepRollout(failing, ready(4));
    assert.deepEqual([none, draining.done, draining.waiting], [[], [4], []]);
    assert.ok(isOver(stepRollout(draining, drained(1)).rollout));
  });

  test('one that failed in place has no old one to keep', () => {
    const { rollout: over, effects } = stepRollout(begin({ maxSurge: 0, maxUnavailable: 1 }).rollout, failed(1));
    assert.deepEqual([effects, isOver(over)], [[], true]);
  });
});

describe('isOver', () => {
  const rows: readonly (readonly [boolean, Partial<Rollout>])[] = [
    [true, { done: [1, 2] }],
    [true, { failure: crashed, waiting: [2] }],
    [false, { waiting: [2] }],
    [false, { starting: [1] }],
    [false, { inPlace: [1] }],
    [false, { draining: [1] }],
    [false, { draining: [0], failure: crashed }],
  ];
  for (const [over, more] of rows)
    test(`${over}: ${JSON.stringify(more)}`, () => assert.equal(isOver(rollout(more)), over));
});

const ids = fc.uniqueArray(fc.nat(20), { maxLength: 6 });
const limits: fc.Arbitrary<RolloutLimits> = fc
  .record({ maxSurge: fc.nat(3), maxUnavailable: fc.nat(3) })
  .filter(({ maxSurge, maxUnavailable }) => maxSurge + maxUnavailable > 0);
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
  readonly #begun = new Set<number>();

  constructor(all: readonly number[], bounds: RolloutLimits) {
    this.#ids = all;
    const { rollout: begun, effects } = beginRollout(all, bounds);
    this.current = begun;
    this.#check(effects);
    assert.ok(this.#begun.size <= 1, 'the first one is alone');
  }

  apply(event: RolloutEvent): void {
    const before = this.current;
    if (event.kind === 'ready' && before.starting.includes(event.id)) this.#ready.add(event.id);
    const { rollout: after, effects } = stepRollout(before, event);
    this.current = after;
    const begins = effects.some(({ kind }) => kind === 'spawn' || kind === 'replace');
    if (before.failure) assert.ok(!begins, 'nothing is begun after a failure');
    if (isOver(before)) assert.deepEqual(effects, []);
    if (before.onTrial && event.kind !== 'ready') assert.ok(!begins, 'one on trial is alone');
    this.#check(effects);
  }

  #check(effects: readonly RolloutEffect[]): void {
    const { limits: bounds, waiting, starting, inPlace, draining, done, failure } = this.current;
    for (const { kind, id } of effects) {
      if (kind === 'spawn' || kind === 'replace') {
        assert.ok(!this.#begun.has(id), 'each is begun once');
        assert.ok((kind === 'spawn' ? starting : inPlace).includes(id));
        this.#begun.add(id);
      } else {
        assert.equal(this.#ready.has(id), kind === 'drain', 'an old one goes only when its successor is ready');
      }
    }
    assert.ok(starting.length <= bounds.maxSurge && inPlace.length <= bounds.maxUnavailable, 'within the limits');
    const places = [...waiting, ...starting, ...inPlace, ...draining, ...done];
    assert.equal(new Set(places).size, places.length, 'nothing is in two places');
    const gone = this.#ids.filter((id) => !places.includes(id));
    if (!failure) assert.deepEqual(gone, [], 'nothing gets lost');
    else assert.deepEqual(starting, [], 'a failure leaves none that starts');
  }
}

test('whatever comes, it keeps its promises', () => {
  fc.assert(
    fc.property(ids, limits, fc.array(anyEvent, { maxLength: 60 }), (all, bounds, events) => {
      const checked = new Checked(all, bounds);
      for (const event of events) checked.apply(event);
    }),
    { numRuns: 1000 },
  );
});

test('when each start and drain ends somehow, in any order, it is over', () => {
  const luck = fc.array(fc.record({ pick: fc.nat(20), fails: fc.nat(5) }), { minLength: 20, maxLength: 20 });
  fc.assert(
    fc.property(ids, limits, luck, (all, bounds, lucky) => {
      const checked = new Checked(all, bounds);
      for (const { pick, fails } of lucky) {
        const { starting, inPlace, draining } = checked.current;
        const underWay = [...starting, ...inPlace, ...draining];
        const id = underWay[pick % Math.max(1, underWay.length)];
        if (id === undefined) break;
        if (draining.includes(id)) checked.apply(drained(id));
        else checked.apply(fails === 0 ? failed(id) : ready(id));
      }
      const { current } = checked;
      assert.ok(isOver(current));
      if (!current.failure) assert.deepEqual([current.waiting, current.done.length], [[], all.length]);
    }),
    { numRuns: 500 },
  );
});
