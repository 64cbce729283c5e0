import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspectionOf } from '../../src/platform/inspect-arguments.ts';

const of = (option: string, index: number) => inspectionOf({ interpreterArgs: ['--x', option], env: {} }, index);

test('each instance has a port of its own, and the bootstrap opens it', () => {
  for (const [given, own, port, host] of [
    ['--inspect', '--inspect-port=9231', 9231, ''],
    ['--inspect=4000', '--inspect-port=4002', 4002, ''],
    ['--inspect=127.0.0.1:4000', '--inspect-port=127.0.0.1:4002', 4002, '127.0.0.1'],
    ['--inspect=[::1]:4000', '--inspect-port=[::1]:4002', 4002, '[::1]'],
    ['--inspect=0.0.0.0', '--inspect-port=0.0.0.0:9231', 9231, '0.0.0.0'],
    ['--inspect=0', '--inspect-port=0', 0, ''],
    ['--inspect-brk=4000', '--inspect-brk=4002', 4002, undefined],
    ['--inspect-port=4000', '--inspect-port=4002', 4002, undefined],
    ['--inspector', '--inspector', 9229, undefined],
  ] as const) {
    const result = of(given, 2);
    assert.deepEqual(result.interpreterArgs, ['--x', own]);
    assert.deepEqual([result.port, result.env['UPKEEP_INSPECT']], [port, host], given);
  }
});

test('NODE_OPTIONS too', () => {
  const env = { NODE_OPTIONS: '--max-old-space-size=64 --inspect=4000', A: 'b' };
  const result = inspectionOf({ interpreterArgs: [], env }, 1);
  assert.deepEqual(result.env, {
    NODE_OPTIONS: '--max-old-space-size=64 --inspect-port=4001',
    A: 'b',
    UPKEEP_INSPECT: '',
  });
  assert.equal(result.port, 4001);
});
