import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AppSpec } from '../../src/domain/app-spec.ts';
import { logPaths } from '../../src/domain/log-paths.ts';
import { appSpec } from '../fakes/app-spec.ts';

const slot = { id: 7, index: 2 };
const out = (path: string | null, mode: AppSpec['mode'] = 'fork', more = {}): string | null =>
  logPaths(appSpec({ mode, logs: { out: path, ...more } }), slot).out;

test('the id goes before the extension', () => {
  assert.equal(out('/logs/api-out.log'), '/logs/api-out-7.log');
  assert.equal(out('/logs/api'), '/logs/api-7');
  assert.equal(out('/logs.d/api'), '/logs.d/api-7');
  assert.equal(out('/logs/.api'), '/logs/.api-7');
  assert.equal(out('/logs/api.tar.gz'), '/logs/api.tar-7.gz');
});

test('devices and no file at all are shared', () => {
  assert.equal(out('/dev/null'), '/dev/null');
  assert.equal(out('/dev/stdout'), '/dev/stdout');
  assert.equal(out(null), null);
});

test('the first instance in fork mode, mostly the only one, has the plain names', () => {
  const first = { id: 7, index: 0 };
  const spec = appSpec();
  assert.deepEqual(logPaths(spec, first), { out: '/logs/api-out.log', error: '/logs/api-error.log', combined: null });
  assert.equal(logPaths(appSpec({ mode: 'cluster' }), first).out, '/logs/api-out-7.log');
});

test('with merged logs all instances share', () => {
  for (const mode of ['fork', 'cluster'] as const)
    assert.equal(out('/logs/api.log', mode, { merge: true }), '/logs/api.log');
});

test('the combined file is one for all', () => {
  assert.equal(logPaths(appSpec({ logs: { combined: '/logs/all.log' } }), slot).combined, '/logs/all.log');
});
