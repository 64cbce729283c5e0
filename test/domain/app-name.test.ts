import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nameProblem } from '../../src/domain/app-name.ts';

const GOOD = [
  'api',
  'API 2',
  '0',
  '42',
  '__proto__',
  'constructor',
  'toString',
  '../../etc/x',
  '..',
  'C:\\x',
  'a|b',
  '$(reboot)',
  "o'k",
  'größe',
  '日本語',
  '👩‍💻',
  'all-of-it',
  'a-rf',
  '/half',
  'x'.repeat(200),
];

const BAD: readonly (readonly [name: string, problem: RegExp])[] = [
  ['', /empty/],
  ['x'.repeat(201), /at most 200/],
  ['a\nb', /control/],
  ['a\0b', /control/],
  ['\u001b[31mred', /control/],
  ['\u009b31m', /control/],
  ['a\u2028b', /control/],
  ['gpj.\u202eexe', /control/],
  ['a\u2066b', /control/],
  ['\ud800', /control/],
  [' api', /white space/],
  ['api ', /white space/],
  ['\u00a0', /white space/],
  ['all', /must not be all/],
  ['-rf', /must not be all/],
  ['--force', /must not be all/],
  ['/api/', /must not be all/],
  ['/api/i', /must not be all/],
];

test('a name may be nearly anything', () => {
  for (const name of GOOD) assert.equal(nameProblem(name), null, name);
});

test('but nothing that is read as something else', () => {
  for (const [name, problem] of BAD) assert.match(nameProblem(name) ?? 'accepted', problem, JSON.stringify(name));
});
