import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Registry } from '../../src/daemon/registry.ts';
import { appSpec } from '../fakes/app-spec.ts';
import * as fc from '../fakes/fast-check.ts';

const spec = (name: string, instances = 1) => appSpec({ name, instances });
const slotsOf = (registry: Registry, name: string) =>
  registry.byName(name)?.slots.map(({ id, index }) => `${id}:${index}`);

/** `api` with ids 0 and 1, `worker` with 2. */
function registered(): Registry {
  const registry = new Registry();
  registry.add(spec('api', 2), 1000);
  registry.add(appSpec({ name: 'worker', namespace: 'jobs' }), 1000);
  return registry;
}

const keyOf = (registry: Registry, name: string): string => registry.byName(name)?.key ?? '';

describe('ids', () => {
  test('are the lowest that are free', () => {
    const registry = registered();
    assert.deepEqual([slotsOf(registry, 'api'), slotsOf(registry, 'worker')], [['0:0', '1:1'], ['2:0']]);
    registry.removeIds(keyOf(registry, 'api'), [0, 1]);
    registry.add(spec('web', 3), 2000);
    assert.deepEqual(slotsOf(registry, 'web'), ['0:0', '1:1', '3:2']);
  });

  test('go up with a scale, from the lowest', () => {
    const registry = registered();
    const { record, removed } = registry.update(keyOf(registry, 'api'), spec('api', 4));
    assert.deepEqual(
      record.slots.map(({ id, index }) => [id, index]),
      [
        [0, 0],
        [1, 1],
        [3, 2],
        [4, 3],
      ],
    );
    assert.deepEqual(removed, []);
  });

  test('go down with a scale, from the highest index', () => {
    const registry = registered();
    registry.update(keyOf(registry, 'api'), spec('api', 4));
    const { removed } = registry.update(keyOf(registry, 'api'), spec('api', 1));
    assert.deepEqual([removed, slotsOf(registry, 'api')], [[1, 3, 4], ['0:0']]);
  });

  test('fill the gap that a deleted instance left', () => {
    const registry = registered();
    registry.update(keyOf(registry, 'api'), spec('api', 3));
    registry.removeIds(keyOf(registry, 'api'), [1]);
    assert.equal(registry.byName('api')?.spec.instances, 2);
    registry.update(keyOf(registry, 'api'), spec('api', 3));
    assert.deepEqual(slotsOf(registry, 'api'), ['0:0', '1:1', '3:2']);
  });

  test('are unique, and indexes too within an app, whatever happens', () => {
    const change = fc.record({ app: fc.nat(3), count: fc.nat(5), remove: fc.boolean() });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 20 }), (changes) => {
        const registry = new Registry();
        for (const { app, count, remove } of changes) {
          const name = `app${app}`;
          const known = registry.byName(name);
          if (!known) registry.add(spec(name, count), 1000);
          else if (remove)
            registry.removeIds(
              known.key,
              known.slots.slice(0, count).map(({ id }) => id),
            );
          else assert.equal(registry.update(known.key, spec(name, count)).record.slots.length, count);
        }
        const ids = registry.apps.flatMap(({ slots }) => slots.map(({ id }) => id));
        assert.equal(new Set(ids).size, ids.length);
        assert.equal(new Set(registry.apps.map(({ key }) => key)).size, registry.apps.length);
        for (const { slots } of registry.apps)
          assert.equal(new Set(slots.map(({ index }) => index)).size, slots.length);
      }),
    );
  });
});

describe('what is wanted of an instance', () => {
  const wanted = (registry: Registry, name = 'api') => registry.byName(name)?.slots.map((slot) => slot.wanted);

  test('is up, or down without autostart', () => {
    const registry = registered();
    registry.add(appSpec({ name: 'later', autostart: false, instances: 2 }), 1000);
    assert.deepEqual(
      [wanted(registry), wanted(registry, 'later')],
      [
        ['up', 'up'],
        ['down', 'down'],
      ],
    );
  });

  test('can be changed for some', () => {
    const registry = registered();
    const record = registry.want(keyOf(registry, 'api'), [1, 2], 'down');
    assert.deepEqual(
      [record.slots.map((slot) => slot.wanted), wanted(registry)],
      [
        ['up', 'down'],
        ['up', 'down'],
      ],
    );
    assert.deepEqual(wanted(registry, 'worker'), ['up']);
  });

  test('of an app without autostart that runs is up for its new instances too', () => {
    const registry = new Registry();
    const { key } = registry.add(appSpec({ autostart: false }), 1000);
    registry.want(key, [0], 'up');
    registry.update(key, appSpec({ autostart: false, instances: 2 }));
    assert.deepEqual(wanted(registry), ['up', 'up']);
  });
});

describe('select', () => {
  const ids = (registry: Registry, ...targets: string[]) => registry.select(targets).map(({ id }) => id);

  test('finds by name, namespace, id, pattern and all, each once', () => {
    const registry = registered();
    assert.deepEqual(ids(registry, 'api'), [0, 1]);
    assert.deepEqual(ids(registry, 'jobs'), [2]);
    assert.deepEqual(ids(registry, '1'), [1]);
    assert.deepEqual(ids(registry, '/^w/'), [2]);
    assert.deepEqual(ids(registry, '1', 'api', 'all'), [1, 0, 2]);
    assert.deepEqual(ids(registry), []);
  });

  test('says what there is, when a target means nothing', () => {
    const registry = registered();
    assert.throws(() => registry.select(['api', 'apy']), {
      code: 'APP_NOT_FOUND',
      message: 'no app, namespace or id matches "apy"; there are: api, worker',
    });
    assert.throws(() => new Registry().select(['api']), { message: /; no app is registered$/ });
  });

  test('names no more than twenty', () => {
    const registry = new Registry();
    for (let number = 0; number < 23; number++) registry.add(spec(`app${number}`), 1000);
    assert.throws(() => registry.select(['none']), { message: /app18, app19 and 3 more$/ });
  });

  test('finds nothing of nothing by all', () => {
    assert.deepEqual(new Registry().select(['all']), []);
  });

  test('refuses a pattern that is none', () => {
    assert.throws(() => registered().select(['/(/']), {
      code: 'USAGE',
      message: /^\/\(\/ is not a regular expression: /,
    });
  });
});

describe('apps', () => {
  test('have keys of their own, also when made in one moment', () => {
    const registry = registered();
    assert.notEqual(keyOf(registry, 'api'), keyOf(registry, 'worker'));
    assert.equal(registry.byKey(keyOf(registry, 'api'))?.spec.name, 'api');
  });

  test('go with their last instance', () => {
    const registry = registered();
    registry.removeIds(keyOf(registry, 'api'), [0]);
    assert.deepEqual(slotsOf(registry, 'api'), ['1:1']);
    registry.removeIds(keyOf(registry, 'api'), [1]);
    assert.equal(registry.byName('api'), undefined);
  });

  test('that are gone meanwhile are told', () => {
    for (const change of [
      (registry: Registry) => registry.update('gone', spec('x')),
      (registry: Registry) => registry.want('gone', [0], 'up'),
      (registry: Registry) => registry.removeIds('gone', [0]),
    ])
      assert.throws(() => change(registered()), { code: 'APP_NOT_FOUND' });
  });

  test('can be put back as they were', () => {
    const registry = registered();
    const before = registry.byName('api');
    assert.ok(before);
    registry.update(before.key, spec('api', 5));
    registry.restore(before);
    assert.equal(registry.byName('api'), before);
  });

  test('are read from, and all forgotten', () => {
    const registry = new Registry(registered().apps);
    assert.deepEqual(registry.apps, registered().apps);
    registry.clear();
    assert.deepEqual(registry.apps, []);
  });
});
