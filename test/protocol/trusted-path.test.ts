import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  constants,
  lchownSync,
  mkdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { openTrusted, trustedPath } from '../../src/protocol/trusted-path.ts';
import { tempFolder } from '../fakes/temp-folder.ts';

const STRANGER = 54_321;
const APP = 54_322;
const APPEND = constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND;
const root = process.getuid?.() === 0 ? {} : { skip: 'only root can make links of others' };

/** A folder with a file `target`, and folders `open` and `closed`. */
function folders(t: TestContext) {
  const folder = tempFolder(t);
  const target = join(folder, 'target');
  writeFileSync(target, 'before\n');
  const [open, closed] = ['open', 'closed'].map((name) => join(folder, name)) as [string, string];
  for (const each of [open, closed]) mkdirSync(each);
  chmodSync(open, 0o1777);
  const link = (path: string, uid: number, to = target): string => {
    symlinkSync(to, path);
    lchownSync(path, uid, uid);
    return path;
  };
  return { folder, target, open, closed, link };
}

function append(path: string, appUid: number | null = null): void {
  const fd = openTrusted(path, APPEND, appUid);
  writeSync(fd, 'after\n');
  closeSync(fd);
}

describe('a path that a user has named', () => {
  test('leads where it says, and what is not there yet is left as it is', (t) => {
    const { folder, target, closed } = folders(t);
    symlinkSync(closed, join(folder, 'way'));
    symlinkSync('../target', join(closed, 'file'));
    assert.equal(trustedPath(join(folder, 'way', 'file'), null), target);
    assert.equal(trustedPath(join(folder, 'way', 'new', 'file'), null), join(closed, 'new', 'file'));
    assert.equal(trustedPath('/', null), '/');
  });

  test('may be a device, or a descriptor', () => {
    assert.equal(trustedPath('/dev/null', null), '/dev/null');
    closeSync(openTrusted('/dev/null', APPEND, null));
    if (process.platform === 'linux') assert.match(trustedPath('/proc/self/fd/1', null), /^\/proc\//);
  });

  test('that leads in a circle is refused', (t) => {
    const { folder } = folders(t);
    symlinkSync('b', join(folder, 'a'));
    symlinkSync('a', join(folder, 'b'));
    assert.throws(() => trustedPath(join(folder, 'a'), null), /more than 40 symbolic links/);
  });

  test('does not follow a link of a stranger where everybody may write', root, (t) => {
    const { open, target, link } = folders(t);
    const path = link(join(open, 'app.log'), STRANGER);
    assert.throws(() => append(path), {
      message: `${path} is a symbolic link of user ${STRANGER}, and is not followed`,
    });
    const folder = link(join(open, 'logs'), STRANGER, '/etc');
    assert.throws(() => append(join(folder, 'app.log')), /logs is a symbolic link of user/);
    assert.equal(readFileSync(target, 'utf8'), 'before\n');
  });

  test('follows that of the owner of the folder, and one where not everybody may write', root, (t) => {
    const { open, closed, target, link } = folders(t);
    lchownSync(open, STRANGER, STRANGER);
    append(link(join(open, 'own'), STRANGER));
    append(link(join(closed, 'deployed'), STRANGER));
    append(link(join(open, 'of-root'), 0));
    assert.equal(readFileSync(target, 'utf8'), 'before\nafter\nafter\nafter\n');
  });

  test('follows no link of the user that the app runs as', root, (t) => {
    const { closed, target, link } = folders(t);
    const path = link(join(closed, 'app.log'), APP);
    assert.throws(() => append(path, APP), /is a symbolic link of user 54322/);
    assert.equal(readFileSync(target, 'utf8'), 'before\n');
    append(path, STRANGER);
  });

  test('is not a file of a stranger where everybody may write', root, (t) => {
    const { open, closed } = folders(t);
    for (const folder of [open, closed]) {
      const path = join(folder, 'app.log');
      writeFileSync(path, '');
      lchownSync(path, STRANGER, STRANGER);
    }
    // The kernel may refuse it first: fs.protected_regular.
    assert.throws(() => append(join(open, 'app.log')), /is a file of user 54321|EACCES/);
    append(join(closed, 'app.log'));
  });

  test('that is a named pipe which nobody reads makes nobody wait', (t) => {
    const { folder } = folders(t);
    const path = join(folder, 'pipe');
    execFileSync('mkfifo', [path]);
    assert.throws(() => append(path), { code: 'ENXIO' });
  });
});
