import assert from 'node:assert/strict';
import { test } from 'node:test';
import { suggest } from '../../src/config/suggest.ts';

const known = ['instances', 'interpreter', 'env', 'name', 'cwd'];

for (const [word, meant] of [
  ['instance', 'instances'],
  ['instnaces', 'instances'],
  ['interpeter', 'interpreter'],
  ['evn', null],
  ['env1', 'env'],
  ['nmae', null],
  ['names', 'name'],
  ['colour', null],
  ['', null],
] as const)
  test(`"${word}" means ${meant ?? 'nothing known'}`, () => assert.equal(suggest(word, known), meant));

test('of nothing known there is nothing near', () => {
  assert.equal(suggest('name', []), null);
});
