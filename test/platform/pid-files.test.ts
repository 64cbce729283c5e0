import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, lstatSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { pidFiles } from '../../src/platform/pid-files.ts';
import { tempFolder } from '../fakes/temp-folder.ts';

describe('a pid file', () => {
  test('is written, in folders that are missing, and replaced', (t) => {
    const path = join(tempFolder(t), 'deep', 'app.pid');
    pidFiles.write(path, 1234);
    pidFiles.write(path, 1235);
    assert.equal(readFileSync(path, 'utf8'), '1235\n');
    assert.equal(lstatSync(path).mode & 0o777, 0o600);
    assert.deepEqual(readdirSync(join(path, '..')), ['app.pid']);
  });

  test('takes the place of a link, and leaves what that led to', (t) => {
    const folder = tempFolder(t);
    const [path, precious] = [join(folder, 'app.pid'), join(folder, 'precious')];
    writeFileSync(precious, 'kept');
    symlinkSync(precious, path);
    pidFiles.write(path, 1234);
    assert.deepEqual([readFileSync(precious, 'utf8'), readFileSync(path, 'utf8')], ['kept', '1234\n']);
  });

  test('is removed by its own process only', (t) => {
    const path = join(tempFolder(t), 'app.pid');
    pidFiles.write(path, 1234);
    pidFiles.remove(path, 1233);
    assert.ok(existsSync(path));
    pidFiles.remove(path, 1234);
    assert.ok(!existsSync(path));
  });

  test('that is something else is left alone, and makes nobody wait', (t) => {
    const path = join(tempFolder(t), 'app.pid');
    execFileSync('mkfifo', [path]);
    pidFiles.remove(path, 1234);
    assert.ok(existsSync(path));
    pidFiles.write('/proc/no-such/app.pid', 1234);
    pidFiles.remove('/proc/no-such/app.pid', 1234);
  });
});
