import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { openSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { readAllProcesses, readProcess } from '../../src/platform/process-table.ts';

// As a program of its own it uses up all its descriptors, and then looks at itself.
if (process.env['DESCRIPTORS_USED_UP']) {
  readProcess(process.pid);
  try {
    for (;;) openSync('/dev/null', 'r');
  } catch {
    // There are none left.
  }
  for (let round = 0; round < 3; round++) {
    assert.ok(readProcess(process.pid));
    assert.ok(readAllProcesses().some(({ pid }) => pid === process.pid));
    assert.equal(readProcess(2 ** 30), null);
  }
} else {
  const linux = { skip: process.platform === 'linux' ? false : 'needs /proc' };
  test('processes can be looked at when no descriptor is left', linux, () => {
    const command = ['-c', 'ulimit -n 64 && exec "$0" "$1"', process.execPath, fileURLToPath(import.meta.url)];
    execFileSync('/bin/sh', command, { env: { DESCRIPTORS_USED_UP: '1' }, stdio: 'pipe' });
  });
}
