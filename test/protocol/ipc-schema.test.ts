import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseFromApp } from '../../src/protocol/ipc-schema.ts';

const error = { message: 'listen EADDRINUSE', code: 'EADDRINUSE', syscall: 'listen', address: '::', port: 80 };

describe('a message of an app', () => {
  for (const body of [
    { kind: 'main-ran' },
    { kind: 'settled' },
    { kind: 'want-signal' },
    { kind: 'listening', address: '*:3000' },
    { kind: 'uncaught', error },
    { kind: 'uncaught', error: { message: 'boom', code: null, syscall: null, address: null, port: null } },
  ])
    test(`${JSON.stringify(body)} is known`, () => assert.deepEqual(parseFromApp(body), body));

  for (const body of [
    undefined,
    null,
    'main-ran',
    {},
    { kind: 'exited' },
    { kind: 'listening' },
    { kind: 'listening', address: 3000 },
    { kind: 'uncaught' },
    { kind: 'uncaught', error: { ...error, port: '80' } },
  ])
    test(`${JSON.stringify(body)} is dropped`, () => assert.equal(parseFromApp(body), null));

  test('brings no text without end, and nothing that was not asked for', () => {
    const parsed = parseFromApp({ kind: 'listening', address: 'x'.repeat(5000), more: 1 });
    assert.deepEqual(parsed, { kind: 'listening', address: 'x'.repeat(1000) });
  });
});
