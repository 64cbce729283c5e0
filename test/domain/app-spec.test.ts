import assert from 'node:assert/strict';
import { test } from 'node:test';
import { resolveInstances } from '../../src/domain/app-spec.ts';

for (const [wanted, cpus, count] of [
  ['max', 8, 8],
  [0, 8, 8],
  [1, 8, 1],
  [20, 8, 20],
  [-1, 8, 7],
  [-7, 8, 1],
  [-8, 8, 1],
  [-1, 1, 1],
] as const)
  test(`instances ${wanted} with ${cpus} CPUs are ${count}`, () => assert.equal(resolveInstances(wanted, cpus), count));
