import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { daemonParams, appRecord as recordSchema, supervisorParams, validate } from '../../src/protocol/schema.ts';
import { appRecord, appSpec, clusterSpec } from '../fakes/app-spec.ts';

const spec = appSpec();
const record = appRecord(clusterSpec({ instances: 2 }));

describe('what is accepted', () => {
  const daemon: readonly (readonly [keyof typeof daemonParams, unknown])[] = [
    ['ping', {}],
    ['list', {}],
    ['describe', { selectors: ['api', '1'] }],
    ['apply', { specs: [spec, clusterSpec({ name: 'web' })], existing: 'reload' }],
    ['operate', { kind: 'stop', selectors: ['all'] }],
    ['operate', { kind: 'restart', selectors: ['all'], env: { A: '1' } }],
    ['scale', { selector: 'api', change: { kind: 'to', count: 4 } }],
    ['scale', { selector: 'api', change: { kind: 'by', delta: -2 } }],
    ['signal', { selectors: ['api'], signal: 'SIGHUP' }],
    ['flush', { selectors: [] }],
    ['kill', {}],
  ];
  for (const [method, params] of daemon)
    test(`daemon ${method}`, () => assert.deepEqual(validate<unknown>(daemonParams[method], params, method), params));

  const supervisor: readonly (readonly [keyof typeof supervisorParams, unknown])[] = [
    ['adopt', { daemonCommand: ['node', 'daemon.cjs'] }],
    ['run', { kind: 'reload', apps: [record], ids: [0, 1] }],
    ['signal', { ids: [0], signal: 'SIGHUP' }],
    ['shutdown', {}],
  ];
  for (const [method, params] of supervisor)
    test(`supervisor ${method}`, () =>
      assert.deepEqual(validate<unknown>(supervisorParams[method], params, method), params));
});

describe('what is refused names the field', () => {
  const rows: readonly (readonly [keyof typeof daemonParams, unknown, RegExp])[] = [
    ['list', null, /^list: .*null/],
    ['list', { all: true }, /^list\.all: /],
    ['describe', {}, /^describe\.selectors: /],
    ['describe', { selectors: ['api', 1] }, /^describe\.selectors\.1: .*string.*1/],
    ['operate', { kind: 'explode', selectors: [] }, /^operate\.kind: .*explode/],
    ['operate', { kind: 'stop', selectors: [], env: { A: 1 } }, /^operate\.env\.A: /],
    ['scale', { selector: 'api', change: { kind: 'to', count: -1 } }, /^scale\.change\.count: /],
    ['scale', { selector: 'api', change: { kind: 'by', delta: 0.5 } }, /^scale\.change\.delta: /],
    ['scale', { selector: 'api', change: { kind: 'double' } }, /^scale\.change\.kind: /],
    ['apply', { specs: [{ ...spec, name: '' }], existing: 'error' }, /^apply\.specs\.0\.name: /],
    ['apply', { specs: [{ ...spec, mode: 'thread' }], existing: 'error' }, /^apply\.specs\.0\.mode: /],
    ['apply', { specs: [{ ...spec, instances: 1.5 }], existing: 'error' }, /^apply\.specs\.0\.instances: /],
    [
      'apply',
      { specs: [{ ...spec, program: { ...spec.program, exec: '' } }], existing: 'error' },
      /^apply\.specs\.0\.program\.exec: /,
    ],
    ['apply', { specs: [spec], existing: 'maybe' }, /^apply\.existing: /],
  ];
  for (const [method, params, message] of rows)
    test(`${method}: ${message.source}`, () => {
      assert.throws(() => validate<unknown>(daemonParams[method], params, method), {
        code: 'PROTOCOL_MALFORMED',
        message,
      });
    });
});

describe('an app on disk', () => {
  test('is read as it was written', () => {
    assert.deepEqual(validate(recordSchema, JSON.parse(JSON.stringify(record)), 'app'), record);
  });

  test('has a key that is safe in a file name', () => {
    for (const key of ['', '../x', 'A', 'x'.repeat(11), 'a b'])
      assert.throws(() => validate(recordSchema, { ...record, key }, 'app'), { message: /^app\.key: / }, key);
  });

  test('keeps what it knows of a record of a newer version', () => {
    assert.deepEqual(validate(recordSchema, { ...record, colour: 'blue' }, 'app'), record);
  });
});
