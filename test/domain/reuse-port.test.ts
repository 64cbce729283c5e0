import assert from 'node:assert/strict';
import { test } from 'node:test';
import { canReusePort } from '../../src/domain/reuse-port.ts';

test('a port is shared by several sockets from Node.js 22.12 on, on Linux', () => {
  const can = (version: string, platform = 'linux'): boolean => canReusePort(version, platform);
  assert.deepEqual(
    ['20.20.2', '22.11.0', '22.12.0', '23.0.0', '23.1.0', '26.0.0'].map((version) => can(version)),
    [false, false, true, false, true, true],
  );
  assert.equal(can('24.0.0', 'darwin'), false);
});
