import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { plainData } from '../../src/config/plain-data.ts';

describe('plain data', () => {
  test('is copied as it is', () => {
    const data = { a: [1, 'two', null, { b: true }], c: {}, d: undefined };
    assert.deepEqual(plainData(data), data);
    assert.notEqual(plainData(data), data);
  });

  test('comes of what can say what it is', () => {
    const date = new Date(0);
    assert.deepEqual(plainData({ date, big: 10n, hole: Array(1) }), {
      date: '1970-01-01T00:00:00.000Z',
      big: '10',
      hole: [undefined],
    });
  });

  test('keeps what no schema takes for what that tells of it', () => {
    const symbol = Symbol('s');
    const call = (): void => {};
    assert.deepEqual(plainData([symbol, call, Number.NaN]), [symbol, call, Number.NaN]);
  });

  test('has a __proto__ only as a key', () => {
    const copy = plainData(JSON.parse('{"__proto__":{"script":"x"}}')) as Record<string, unknown>;
    assert.equal(copy['script'], undefined);
    assert.deepEqual(Object.keys(copy), ['__proto__']);
  });

  test('is not made of what holds itself, or is nested without end', () => {
    const circle: unknown[] = [];
    circle.push(circle);
    const endless = { toJSON: (): unknown => endless };
    for (const value of [circle, endless]) assert.throws(() => plainData(value), /nested more than 100 levels deep/);
  });

  test('passes on what is thrown by what it looks at', () => {
    const getter = {
      get script(): string {
        throw new Error('not yet');
      },
    };
    assert.throws(() => plainData([getter]), /^Error: not yet$/);
  });
});
