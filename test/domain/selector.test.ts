import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseSelector, select } from '../../src/domain/selector.ts';

const rows = [
  { id: 0, name: 'api', namespace: 'default' },
  { id: 1, name: 'api', namespace: 'default' },
  { id: 2, name: 'worker', namespace: 'jobs' },
  { id: 3, name: 'jobs', namespace: 'default' },
  { id: 4, name: '2', namespace: 'default' },
  { id: 5, name: 'api-eu', namespace: '0' },
];

describe('a target', () => {
  const cases: readonly (readonly [text: string, ids: readonly number[], why: string])[] = [
    ['all', [0, 1, 2, 3, 4, 5], 'everything'],
    ['api', [0, 1], 'a whole name'],
    ['worker', [2], 'a name'],
    ['default', [0, 1, 3, 4], 'a namespace'],
    ['jobs/worker', [2], 'a name in a namespace'],
    ['jobs/api', [], 'a name in a namespace that it is not in'],
    ['jobs', [3], 'a name goes before a namespace'],
    ['2', [4], 'a name goes before an id'],
    ['0', [5], 'a namespace goes before an id'],
    ['1', [1], 'an id'],
    ['01', [1], 'an id with zeros in front'],
    ['9', [], 'no such id'],
    ['-1', [], 'no id at all'],
    ['ap', [], 'part of a name'],
    ['', [], 'nothing'],
    ['/^api/', [0, 1, 5], 'a pattern on the name'],
    ['/API/i', [0, 1, 5], 'a pattern with a flag'],
    ['/a/g', [0, 1, 5], 'a pattern that remembers where it was'],
    ['/jobs/', [3], 'a pattern does not look at namespaces'],
    ['/x/y/', [], 'a pattern with a slash in it'],
    ['/api', [], 'one slash makes no pattern'],
    ['//', [], 'nor does nothing between two'],
  ];
  for (const [text, ids, why] of cases)
    test(`${JSON.stringify(text)}: ${why}`, () => {
      const chosen = select(parseSelector(text), rows);
      assert.deepEqual(
        chosen.map(({ id }) => id),
        ids,
      );
    });
});

test('a pattern that is none is told by the engine', () => {
  assert.throws(() => parseSelector('/(/'), SyntaxError);
  assert.throws(() => parseSelector('/a/zz'), SyntaxError);
});
