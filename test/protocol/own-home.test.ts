import assert from 'node:assert/strict';
import { chmodSync, chownSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { type Home, makeHome, resolveHome } from '../../src/protocol/home.ts';
import { closeHome } from '../../src/protocol/own-home.ts';
import { tempFolder } from '../fakes/temp-folder.ts';

function homeIn(t: TestContext): Home {
  return resolveHome({ UPKEEP_HOME: join(tempFolder(t), 'home') });
}

const modeOf = (path: string): string => (statSync(path).mode & 0o7777).toString(8);

describe('closeHome', () => {
  test('has nothing to do where there is none, and where it is as it should be', (t) => {
    const home = homeIn(t);
    assert.equal(closeHome(home), null);
    makeHome(home);
    assert.equal(closeHome(home), null);
  });

  test('closes one that others could enter, and its folders, and says so', (t) => {
    const home = homeIn(t);
    makeHome(home);
    for (const folder of [home.root, home.run, home.logs]) chmodSync(folder, 0o755);
    assert.equal(closeHome(home), `${home.root} was open to other users (mode 755), and is not any more`);
    for (const folder of [home.root, home.run, home.logs]) assert.equal(modeOf(folder), '700', folder);
  });

  test('closes an empty folder', (t) => {
    const home = homeIn(t);
    mkdirSync(home.root);
    chmodSync(home.root, 0o777);
    assert.match(makeHome(home) ?? '', /mode 777/);
    assert.equal(modeOf(home.root), '700');
  });

  test('closes one that has nothing but what `--version` leaves there', (t) => {
    const home = homeIn(t);
    mkdirSync(home.cache, { recursive: true });
    chmodSync(home.root, 0o755);
    assert.match(closeHome(home) ?? '', /mode 755/);
    assert.equal(modeOf(home.root), '700');
  });

  for (const [what, mode, entry] of [
    ['that holds other things', 0o755, 'letters'],
    ['where everybody may write, as in /tmp', 0o1777, null],
  ] as const) {
    test(`refuses a folder ${what}, and leaves it as it is`, (t) => {
      const home = homeIn(t);
      mkdirSync(home.root);
      if (entry) writeFileSync(join(home.root, entry), '');
      chmodSync(home.root, mode);
      for (const check of [closeHome, makeHome]) {
        assert.throws(() => check(home), {
          code: 'HOME_UNUSABLE',
          message: `${home.root} is open to other users (mode ${mode.toString(8)}), and holds other things`,
        });
      }
      assert.equal(statSync(home.root).mode & 0o7777, mode);
    });
  }

  test('refuses the home of another user', { skip: process.getuid?.() !== 0 && 'only root can make one' }, (t) => {
    const home = homeIn(t);
    makeHome(home);
    chownSync(home.root, 54_321, 54_321);
    assert.throws(() => closeHome(home), {
      code: 'HOME_UNUSABLE',
      message: `${home.root} belongs to user 54321, and this command to user 0`,
    });
  });
});
