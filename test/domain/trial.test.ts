import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Answers, addAnswer, NO_ANSWERS, passesEarly, trialTimes, whyNotPassed } from '../../src/domain/trial.ts';

const answers = (...statuses: readonly number[]): Answers => statuses.reduce(addAnswer, NO_ANSWERS);

test('a trial takes half a second to two; as a canary, as long as that is to be watched', () => {
  assert.deepEqual(trialTimes(0), { leastMs: 500, mostMs: 2000 });
  assert.deepEqual(trialTimes(1000), { leastMs: 1000, mostMs: 2000 });
  assert.deepEqual(trialTimes(30_000), { leastMs: 30_000, mostMs: 30_000 });
});

describe('it is passed early', () => {
  const rows: readonly (readonly [passed: boolean, settled: boolean, statuses: readonly number[]])[] = [
    [false, false, []],
    [true, true, []],
    [true, false, [200]],
    [true, false, [404]],
    [false, false, [500]],
    [false, true, [500]],
    [false, true, [200, 500]],
    [false, true, [503]],
  ];
  for (const [passed, settled, statuses] of rows)
    test(`${passed}: settled ${settled}, answered ${statuses.join(', ') || 'nothing'}`, () => {
      assert.equal(passesEarly({ settled, answers: answers(...statuses) }), passed);
    });
});

describe('at its end', () => {
  const ERRORS = 'it stayed up, but answered every request with an error (500, 502)';
  const rows: readonly (readonly [why: string | null, statuses: readonly number[]])[] = [
    [null, []],
    [null, [500, 500, 500, 500]],
    [ERRORS, [500, 500, 502, 500, 500]],
    [ERRORS, [500, 500, 502, 500, 500, 500, 504]],
    [null, [500, 500, 502, 500, 500, 500, 504, 302]],
    [null, [503, 503, 503, 503, 503, 503]],
    [null, [503, 500, 500, 500, 500, 500]],
  ];
  for (const [why, statuses] of rows)
    test(`${statuses.join(', ') || 'nothing'}: ${why ?? 'passed'}`, () => {
      assert.equal(whyNotPassed(answers(...statuses)), why);
    });
});

test('what more answers tell is kept within bounds', () => {
  const many = answers(...Array.from({ length: 1000 }, () => 500));
  assert.equal(many.errors.length, 5);
  assert.equal(addAnswer(many, 500), many);
});
