import assert from 'node:assert/strict';
import { test } from 'node:test';
import { callerEnv, instanceEnv } from '../../src/domain/instance-env.ts';
import { appSpec } from '../fakes/app-spec.ts';

const slot = { id: 9, index: 2 };

test('an instance knows its index, its id and its name', () => {
  assert.deepEqual(instanceEnv(appSpec({ env: { PORT: '80' } }), slot), {
    PORT: '80',
    NODE_APP_INSTANCE: '2',
    pm_id: '9',
    name: 'api',
  });
});

test('the variable of the index has the name that was asked for', () => {
  const env = instanceEnv(appSpec({ instanceVar: 'INSTANCE' }), slot);
  assert.deepEqual([env['INSTANCE'], env['NODE_APP_INSTANCE']], ['2', undefined]);
});

test('the increment variable grows with the index', () => {
  const port = (env: Record<string, string>) => instanceEnv(appSpec({ env, incrementVar: 'PORT' }), slot)['PORT'];
  assert.equal(port({ PORT: '3000' }), '3002');
  assert.equal(port({ PORT: 'none' }), '2');
  assert.equal(port({}), '2');
});

test('a variable that is declared under one of these names stays, and so does any other name', () => {
  const declared = JSON.parse('{"name":"mine","constructor":"1","__proto__":"2"}') as Record<string, string>;
  const env = instanceEnv(appSpec({ env: declared, incrementVar: 'toString' }), slot);
  assert.deepEqual(
    new Map(Object.entries(env)),
    new Map([...Object.entries(declared), ['pm_id', '9'], ['toString', '2'], ['NODE_APP_INSTANCE', '2']]),
  );
});

test('a caller is no part of the app that it starts, but its home is that of the app', () => {
  const caller = { PATH: '/bin', HOME: '/root', UPKEEP_HOME: '/root/u', UPKEEP_RUN: 'a', pm_id: '3', name: 'hook' };
  const taken = (otherUser: boolean) => Object.fromEntries(callerEnv({ ...caller, GONE: undefined }, otherUser));
  assert.deepEqual(taken(false), { PATH: '/bin', HOME: '/root', UPKEEP_HOME: '/root/u' });
  assert.deepEqual(taken(true), { PATH: '/bin' });
});

test('the spec stays as it was', () => {
  const spec = appSpec({ env: { PORT: '80' }, incrementVar: 'PORT' });
  instanceEnv(spec, slot);
  assert.deepEqual(spec.env, { PORT: '80' });
});
