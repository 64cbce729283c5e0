import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Runnable, requireInterpreter, spawnProblem } from '../../src/platform/spawn-problem.ts';

const { execPath } = process;
const problem = (code: string, program: Partial<Runnable>) =>
  spawnProblem(Object.assign(new Error(`spawn ${code}`), { code }), {
    exec: execPath,
    script: '/srv/app.js',
    cwd: '/',
    ...program,
  });

for (const [what, code, program, reason, short] of [
  ['an interpreter that is gone', 'ENOENT', { exec: '/none/node' }, /^\/none\/node is not there, as while/, true],
  [
    'a program that is gone',
    'ENOENT',
    { exec: '/none/a', script: '/none/a' },
    /start \/none\/a: it does not exist/,
    false,
  ],
  ['a folder that is gone', 'ENOENT', { cwd: '/none' }, /: its working directory \/none does not exist/, false],
  [
    'the interpreter of a script',
    'ENOENT',
    { script: execPath },
    /: what is to run it does not exist: .*first line/,
    false,
  ],
  ['a mode', 'EACCES', {}, /: no permission to execute it/, false],
  ['a shortage', 'EAGAIN', {}, /^the machine is short of processes/, true],
  ['anything else', 'ELOOP', {}, /: spawn ELOOP/, false],
] as const) {
  test(`no process could be made for ${what}`, () => {
    const told = problem(code, program);
    assert.match(told.reason, reason);
    assert.equal(told.short, short);
  });
}

test('only what is not the app itself is required', () => {
  requireInterpreter({ exec: '/none/a', script: '/none/a', cwd: '/' });
  requireInterpreter({ exec: execPath, script: '/none/a', cwd: '/' });
  assert.throws(() => requireInterpreter({ exec: '/none/node', script: '/a', cwd: '/' }), /is not there/);
});
