import assert from 'node:assert/strict';
import { test } from 'node:test';
import { signalName } from '../../src/domain/signal-name.ts';

for (const [given, name] of [
  ['SIGTERM', 'SIGTERM'],
  ['sigterm', 'SIGTERM'],
  ['TERM', 'SIGTERM'],
  ['term', 'SIGTERM'],
  ['15', 'SIGTERM'],
  ['9', 'SIGKILL'],
  ['usr2', 'SIGUSR2'],
  ['SIGFOO', null],
  ['foo', null],
  ['SIG', null],
  ['', null],
  [' TERM', null],
  ['0', null],
  ['-15', null],
  ['015', null],
  ['15.0', null],
  ['999', null],
  ['toString', null],
  ['__proto__', null],
] as const)
  test(`signal ${JSON.stringify(given)} is ${name}`, () => assert.equal(signalName(given), name));
