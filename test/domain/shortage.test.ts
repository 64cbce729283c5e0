import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AWAY_HINT, away, SHORT_HINT, shortageHint, shortageOf } from '../../src/domain/shortage.ts';

const failure = (message: string, more: { code?: string; cause?: unknown } = {}): Error =>
  Object.assign(new Error(message, { cause: more.cause }), more);

for (const [what, error, expected] of [
  ['a code', failure('spawn node EAGAIN', { code: 'EAGAIN' }), 'the machine is short of processes (EAGAIN)'],
  ['a code of what it was caused by', failure('x', { cause: failure('y', { code: 'ENOSPC' }) }), /disk space .ENOSPC/],
  ['what a program said', failure('Command failed: mkfifo a\nmkfifo: a: No space left on device'), /ENOSPC/],
  ['what it said of the whole machine', failure('mkfifo: Too many open files in system'), /ENFILE/],
  ['another code', failure('spawn node ENOENT', { code: 'ENOENT' }), null],
  ['a name that every object has', failure('x', { code: 'toString' }), null],
  ['a file that is away', failure('x', { cause: away('/a') }), /^\/a is not there, as while/],
  ['no error at all', 'EAGAIN', null],
] as const) {
  test(`a shortage is told by ${what}`, () => {
    const told = shortageOf(error);
    if (expected instanceof RegExp) assert.match(String(told), expected);
    else assert.equal(told, expected);
  });
}

test('what to do about a shortage depends on what is short', () => {
  const hint = (error: unknown): string | null => shortageHint(shortageOf(error) ?? '');
  assert.deepEqual([hint(away('/a')), hint(failure('x', { code: 'ENOMEM' }))], [AWAY_HINT, SHORT_HINT]);
});
