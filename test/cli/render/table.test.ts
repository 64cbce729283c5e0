import assert from 'node:assert/strict';
import { test } from 'node:test';
import { renderTable } from '../../../src/cli/render/table.ts';

const plain = (text: string): string => text;
const table = (...rows: readonly (readonly string[])[]): readonly string[] =>
  renderTable(
    [
      { title: 'id', align: 'right' },
      { title: 'name', align: 'left' },
    ],
    rows,
    plain,
    plain,
  ).split('\n');

test('columns are as wide as their widest cell, on the side that was asked for', () => {
  assert.deepEqual(table(['0', 'api'], ['100', 'a worker']), [
    '┌─────┬──────────┐',
    '│  id │ name     │',
    '├─────┼──────────┤',
    '│   0 │ api      │',
    '│ 100 │ a worker │',
    '└─────┴──────────┘',
  ]);
});

test('colours, wide characters and marks are counted as a terminal draws them', () => {
  const rows = table(['0', '\u001b[32mgreen\u001b[39m'], ['1', '日本'], ['2', 'e\u0301a'], ['3', '🎉']);
  assert.deepEqual(rows.slice(3, 7), [
    '│  0 │ \u001b[32mgreen\u001b[39m │',
    '│  1 │ 日本  │',
    '│  2 │ e\u0301a    │',
    '│  3 │ 🎉    │',
  ]);
});

test('a row may have fewer cells than columns', () => {
  assert.equal(table(['7'])[3], '│  7 │      │');
});
