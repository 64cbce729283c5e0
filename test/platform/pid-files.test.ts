import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { pidFiles } from '../../src/platform/pid-files.ts';
import { tempFolder } from '../fakes/temp-folder.ts';

function pidFile(t: TestContext) {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const complaints: string[] = [];
  const path = join(tempFolder(t), 'pids', 'api.pid');
  const files = pidFiles((line) => complaints.push(line));
  return { files, path, complaints, content: () => (existsSync(path) ? readFileSync(path, 'utf8') : null) };
}

/** Nothing can be written below a folder that is a file. */
const block = (path: string) => writeFileSync(join(path, '..'), '');
const unblock = (path: string) => rmSync(join(path, '..'));

test('is written and removed', (t) => {
  const { files, path, complaints, content } = pidFile(t);
  files.write(path, 12);
  assert.equal(content(), '12\n');
  files.remove(path, 12);
  assert.deepEqual([content(), complaints], [null, []]);
});

test('that belongs to a successor is left', (t) => {
  const { files, path, content } = pidFile(t);
  files.write(path, 12);
  files.write(path, 13);
  files.remove(path, 12);
  assert.equal(content(), '13\n');
});

test('that cannot be written is told once, and written when that is possible', (t) => {
  const { files, path, complaints, content } = pidFile(t);
  block(path);
  files.write(path, 12);
  t.mock.timers.tick(60_000);
  assert.equal(complaints.length, 1);
  assert.match(String(complaints[0]), /^cannot write the pid file .*api\.pid: /);
  unblock(path);
  t.mock.timers.tick(5000);
  assert.equal(content(), '12\n');
});

test('that could not be written is not written once its process is gone, but its successor is', (t) => {
  const { files, path, content } = pidFile(t);
  block(path);
  files.write(path, 12);
  files.write(path, 13);
  files.remove(path, 12);
  unblock(path);
  t.mock.timers.tick(5000);
  assert.equal(content(), '13\n');
  files.remove(path, 13);
  assert.equal(content(), null);
});

test('that is empty, as a full disk leaves it, is removed', (t) => {
  const { files, path, content } = pidFile(t);
  mkdirSync(join(path, '..'));
  writeFileSync(path, '');
  files.remove(path, 12);
  assert.equal(content(), null);
});

test('takes the place of a link, and leaves what that led to', (t) => {
  const { files } = pidFile(t);
  const folder = tempFolder(t);
  const [path, precious] = [join(folder, 'app.pid'), join(folder, 'precious')];
  writeFileSync(precious, 'kept');
  symlinkSync(precious, path);
  files.write(path, 1234);
  assert.deepEqual([readFileSync(precious, 'utf8'), readFileSync(path, 'utf8')], ['kept', '1234\n']);
  assert.equal(lstatSync(path).mode & 0o777, 0o600);
  assert.deepEqual(readdirSync(folder).toSorted(), ['app.pid', 'precious']);
});

test('that is something else is left alone, and makes nobody wait', (t) => {
  const { files } = pidFile(t);
  const path = join(tempFolder(t), 'app.pid');
  execFileSync('mkfifo', [path]);
  files.remove(path, 1234);
  assert.ok(existsSync(path));
});
