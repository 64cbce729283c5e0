import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import type { RotationSpec } from '../../src/domain/app-spec.ts';
import { Compressor } from '../../src/logs/compressor.ts';
import { LogKeeper, logsOf } from '../../src/logs/log-keeper.ts';
import { emptyLogs, trimLogs } from '../../src/logs/log-space.ts';
import { rotatedPath } from '../../src/logs/rotation.ts';
import { LogFolders } from '../../src/logs/segments.ts';
import { timesPath } from '../../src/logs/times.ts';
import { appSpec, NO_ROTATION } from '../fakes/app-spec.ts';
import { tempFolder } from '../fakes/temp-folder.ts';

const NOW = Date.now();

function kept(t: TestContext, rotation: Partial<RotationSpec>, other = 'other.log') {
  const folder = tempFolder(t);
  const paths = { out: join(folder, 'api-out.log'), error: join(folder, 'api-error.log') };
  const app = appSpec({ logs: { ...paths, rotation: { ...NO_ROTATION, ...rotation } } });
  const others = [join(folder, other)];
  const compressor = new Compressor();
  const keeper = new LogKeeper(
    app,
    compressor,
    () => NOW,
    () => new LogFolders([...logsOf(app), ...others]),
  );
  t.after(() => {
    keeper.close();
    compressor.close();
  });
  const put = (name: string, ageMs: number | null, text = 'text\n'): string => {
    const path = join(folder, name);
    const file = ageMs === null ? path : rotatedPath(path, NOW - ageMs);
    writeFileSync(file, text);
    if (ageMs !== null) writeFileSync(timesPath(file), '');
    return file;
  };
  const until = async (holds: () => boolean) => {
    for (const deadline = Date.now() + 10_000; !holds() && Date.now() < deadline; ) await sleep(5);
    assert.ok(holds(), readdirSync(folder).join(' '));
  };
  return { folder, keeper, app, put, until, there: () => readdirSync(folder).filter((name) => !name.startsWith('.')) };
}

const MINUTE = 60_000;

describe('LogKeeper', () => {
  test('removes what is too much, of instances that are gone too, with its times; and nothing of others', async (t) => {
    const { keeper, put, until, there, folder } = kept(t, { retain: 1 });
    const old = [put('api-out.log', 2 * MINUTE), put('api-out-7.log', 3 * MINUTE)];
    put('api-out.log', null);
    const recent = [put('api-out.log', MINUTE), put('api-out-7.log', MINUTE), put('api-error.log', MINUTE)];
    const others = [
      put('api-outer.log', 9 * MINUTE),
      put('api-outer.log', 8 * MINUTE),
      put('api-out-x.log', 9 * MINUTE),
    ];
    void keeper.run();
    await until(() => old.every((path) => !existsSync(path) && !existsSync(timesPath(path))));
    for (const path of [...recent, ...others]) assert.ok(existsSync(path), path);
    assert.equal(there().length, recent.length + others.length + 1);
    assert.ok(existsSync(join(folder, 'api-out.log')));
  });

  test('takes the log of another app, called like that of an instance, for no log of its own', async (t) => {
    const { keeper, put } = kept(t, { retain: 0 }, 'api-out-2.log');
    const others = put('api-out-2.log', MINUTE);
    const own = put('api-out-3.log', MINUTE);
    await keeper.run();
    assert.deepEqual([existsSync(own), existsSync(others)], [false, true]);
  });

  test('compresses what was set aside a while ago', async (t) => {
    const { keeper, put, until } = kept(t, { compress: true });
    const text = 'line\n'.repeat(100_000);
    const path = put('api-out.log', MINUTE, text);
    void keeper.run();
    await until(() => !existsSync(path));
    assert.equal(gunzipSync(readFileSync(`${path}.gz`)).toString(), text);
    assert.ok(existsSync(timesPath(path)), 'its times stay');
    assert.equal(existsSync(`${path}.gz.part`), false);
  });

  test('leaves what was set aside just now, as others may still write to it', async (t) => {
    const { keeper, put, until, there } = kept(t, { compress: true });
    const [old, fresh] = [put('api-out.log', MINUTE), put('api-out.log', 1000)];
    void keeper.run();
    await until(() => !existsSync(old));
    assert.ok(existsSync(fresh));
    assert.equal(there().length, 2);
  });
});

describe('the logs of all apps', () => {
  test('are trimmed to the smallest limit, those of apps that are gone too', async (t) => {
    const { folder, app, put } = kept(t, { maxTotalAllBytes: 130 });
    const size = 'x'.repeat(40);
    put('api-out.log', null, size);
    const files = [4, 3, 2, 1].map((age) => put(age === 4 ? 'gone-out.log' : 'api-out.log', age * MINUTE, size));
    const { logs } = app;
    const other = { ...app, logs: { ...logs, rotation: { ...logs.rotation, maxTotalAllBytes: 1000 } } };
    await trimLogs(folder, [other]);
    assert.ok(files.every((path) => existsSync(path)));
    await trimLogs(folder, [other, app]);
    // The oldest is of an app that holds less than its share.
    assert.deepEqual(
      files.map((path) => existsSync(path)),
      [true, false, false, true],
    );
  });

  test('are emptied with what was set aside of them', (t) => {
    const {
      put,
      there,
      app: { logs },
    } = kept(t, {});
    const path = put('api-out.log', null);
    put('api-out.log', MINUTE);
    put('other.log', MINUTE);
    utimesSync(path, 1, 1);
    const all = [path, logs.error ?? '', '/dev/null'].map((each) => ({ path: each, appUid: null }));
    assert.deepEqual(emptyLogs(all), { emptied: [path], problems: [] });
    assert.equal(readFileSync(path, 'utf8'), '');
    assert.equal(there().length, 2);
  });
});
