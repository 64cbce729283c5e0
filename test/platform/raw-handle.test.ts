import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bind } from '../../src/platform/raw-handle.ts';

test('what has neither port nor path cannot be bound', () => {
  for (const address of [null, '']) {
    for (const addressType of [-1, 4, 6]) {
      assert.equal(bind({ address, port: -1, addressType, flags: 0 }), -22, `${address} ${addressType}`);
    }
  }
});
