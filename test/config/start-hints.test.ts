import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { startHints } from '../../src/config/start-hints.ts';
import { appSpec, clusterSpec } from '../fakes/app-spec.ts';
import { tempFolder } from '../fakes/temp-folder.ts';

test('copies of what is not Node.js share no port, and that is told', () => {
  const python = { exec: '/usr/bin/python3', runtime: 'other' } as const;
  const [hint, ...more] = startHints(appSpec({ instances: 2, program: python }));
  assert.match(
    hint ?? '',
    /^api: python3 is not Node.js, so these are 2 copies, which share no port; --increment-var PORT/,
  );
  assert.deepEqual(more, []);
  assert.deepEqual(startHints(appSpec({ program: python })), []);
  assert.deepEqual(startHints(appSpec({ instances: 2, program: python, incrementVar: 'PORT' })), []);
  assert.deepEqual(startHints(appSpec({ instances: 2 })), []);
});

test('a cluster with socket.io is told of sticky', (t) => {
  const folder = tempFolder(t);
  mkdirSync(join(folder, 'src'));
  const program = { script: join(folder, 'src', 'app.js') };
  const write = (dependencies: object): void =>
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ dependencies }));
  write({ 'socket.io': '4' });
  assert.match(startHints(clusterSpec({ instances: 2, program }))[0] ?? '', /^api: socket.io .*--balance sticky/);
  assert.deepEqual(startHints(clusterSpec({ program })), []);
  assert.deepEqual(startHints(clusterSpec({ instances: 2, program, balance: { mode: 'sticky' } })), []);
  write({ express: '5' });
  assert.deepEqual(startHints(clusterSpec({ instances: 2, program })), []);
});
