import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { UpkeepError } from '../../src/protocol/errors.ts';

const cross = (error: UpkeepError): UpkeepError => UpkeepError.fromWire(JSON.parse(JSON.stringify(error.toWire())));

describe('an error that crosses a socket', () => {
  for (const [code, exitCode] of [
    ['USAGE', 2],
    ['CONFIG_INVALID', 2],
    ['SIGNAL_UNKNOWN', 2],
    ['APP_NOT_FOUND', 1],
    ['APP_BUSY', 1],
    ['APP_EXISTS', 1],
    ['DAEMON_UNREACHABLE', 1],
    ['INTERNAL', 70],
  ] as const)
    test(`${code} keeps its code, text and hint, and ends a command with ${exitCode}`, () => {
      const error = new UpkeepError(code, 'it went wrong');
      const revived = cross(error);
      assert.ok(revived instanceof UpkeepError);
      assert.deepEqual(revived.toWire(), { code, message: 'it went wrong', hint: error.hint, stderr: [] });
      assert.equal(revived.exitCode, exitCode);
    });

  test('keeps a hint of its own, or none, and what the app wrote', () => {
    const stderr = ['Error: boom', '    at app.js:1'];
    assert.equal(cross(new UpkeepError('USAGE', 'x', { hint: 'do this' })).hint, 'do this');
    assert.equal(cross(new UpkeepError('USAGE', 'x', { hint: null })).hint, null);
    assert.deepEqual(cross(new UpkeepError('APP_EXISTS', 'x', { stderr })).stderr, stderr);
  });

  test('does not carry its cause, which may hold secrets', () => {
    const wire = JSON.stringify(new UpkeepError('INTERNAL', 'x', { cause: new Error('secret') }).toWire());
    assert.doesNotMatch(wire, /secret/);
  });

  test('of a code that is not known here becomes INTERNAL', () => {
    const { code, message } = UpkeepError.fromWire({ code: 'FROM_THE_FUTURE', message: 'new' });
    assert.deepEqual([code, message], ['INTERNAL', 'new']);
  });

  test('is not taken for one that every object has', () => {
    for (const code of ['toString', 'constructor', '__proto__'] as string[]) {
      const error = UpkeepError.fromWire({ code, message: 'x' });
      assert.deepEqual([error.code, error.exitCode], ['INTERNAL', 70]);
    }
  });

  test('of nothing at all is still an error', () => {
    const { code, message, hint, stderr } = UpkeepError.fromWire({});
    assert.deepEqual([code, message, hint, stderr], ['INTERNAL', 'no message', null, []]);
  });

  test('with other values than it should have is still an error', () => {
    const stubborn = { toString: 1 };
    const values = { code: stubborn, message: stubborn, hint: stubborn, stderr: ['a line', stubborn] };
    const { code, message, hint, stderr } = UpkeepError.fromWire(values);
    assert.deepEqual([code, message, hint, stderr], ['INTERNAL', 'no message', null, ['a line']]);
    for (const wire of [null, undefined, 1, 'x', []]) assert.equal(UpkeepError.fromWire(wire).code, 'INTERNAL');
  });
});

describe('from', () => {
  test('leaves an error of ours as it is', () => {
    const error = new UpkeepError('USAGE', 'x');
    assert.equal(UpkeepError.from(error), error);
  });

  test('wraps anything else and keeps it as the cause', () => {
    const cause = new TypeError('boom');
    const error = UpkeepError.from(cause);
    assert.deepEqual([error.code, error.message, error.cause], ['INTERNAL', 'boom', cause]);
    assert.equal(UpkeepError.from('text').message, 'text');
  });
});
