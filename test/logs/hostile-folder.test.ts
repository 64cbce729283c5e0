import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  lchownSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import type { RotationSpec } from '../../src/domain/app-spec.ts';
import { Compressor } from '../../src/logs/compressor.ts';
import { LogFollower } from '../../src/logs/follow.ts';
import { LogFiles } from '../../src/logs/log-files.ts';
import { LogKeeper, logsOf, segmentsOf } from '../../src/logs/log-keeper.ts';
import { LogSnapshot } from '../../src/logs/log-snapshot.ts';
import { emptyLogs, trimLogs } from '../../src/logs/log-space.ts';
import { rotatedPath } from '../../src/logs/rotation.ts';
import { LogFolders } from '../../src/logs/segments.ts';
import { timesPath } from '../../src/logs/times.ts';
import { appSpec, NO_ROTATION } from '../fakes/app-spec.ts';
import { tempFolder } from '../fakes/temp-folder.ts';

const NOW = Date.now();
const MINUTE = 60_000;
const APP = 54_322;
const STRANGER = 54_321;
const root = process.getuid?.() === 0 ? {} : { skip: 'only root can make files of others' };
const ALL = { since: null, until: null, encoding: 'utf8', matches: () => true } as const;
const DATES = ['20250101T000000.000Z', '20350101T000000.000Z', '99991231T235959.999Z'];

/** Everything that is no file, under names that upkeep looks at. */
function plantTraps(log: string): string[] {
  const traps = DATES.flatMap((date, at) => {
    const names = [`${log}.${date}`, `${log}.${date.replace('.000', `.00${at + 1}`)}.gz`];
    for (const name of names) plant(name, at);
    return names;
  });
  plant(timesPath(`${log}.${DATES[0]}`), 0);
  for (const name of ['20251399T999999.999Z', '20250101T000000.000Z.gz.part', '.gz', '20250101T000000.000Z\n.gz', '-1'])
    writeFileSync(`${log}.${name}`, 'x');
  writeFileSync(Buffer.concat([Buffer.from(`${log}.`), Buffer.from([0xff, 0xfe]), Buffer.from('.gz')]), 'x');
  return traps;
}

function plant(path: string, kind: number): void {
  if (kind === 0) execFileSync('mkfifo', [path]);
  else if (kind === 1) mkdirSync(path);
  else symlinkSync('/etc/passwd', path);
}

function app(log: string, rotation: Partial<RotationSpec> = {}, uid: number | null = null) {
  return appSpec({ uid, logs: { out: log, error: null, rotation: { ...NO_ROTATION, ...rotation } } });
}

const note = (text: string): Buffer => Buffer.from(`upkeep: ${text}\n`);

describe('what others put beside a log', () => {
  test('is not waited for, shown, emptied or compressed, and retention goes on', async (t) => {
    const log = join(tempFolder(t), 'app.log');
    const traps = plantTraps(log);
    const old = [3, 2, 1].map((age) => rotatedPath(log, NOW - age * MINUTE));
    for (const [at, path] of old.entries()) writeFileSync(path, `old ${at}\n`);
    writeFileSync(log, 'now\n');
    const spec = app(log, { retain: 2, compress: true });

    const snapshot = new LogSnapshot(log, false);
    const lines = await snapshot.tail(100, ALL);
    snapshot.close();
    assert.deepEqual(
      lines.map(({ text }) => text),
      ['old 0', 'old 1', 'old 2', 'now'],
    );
    const follower = new LogFollower(log, { since: 0 });
    assert.equal(follower.read().length, 4);
    follower.close();

    await ran(t, spec);
    assert.deepEqual(
      old.map((path) => existsSync(path) || existsSync(`${path}.gz`)),
      [false, true, true],
    );
    assert.deepEqual(emptyLogs([{ path: log, appUid: null }]), { emptied: [log], problems: [] });
    for (const trap of traps) assert.doesNotThrow(() => execFileSync('test', ['-e', trap, '-o', '-L', trap]), trap);
    assert.equal(readFileSync('/etc/passwd', 'utf8').length > 0, true);
  });

  test('keeps no log from being written and set aside, with names that can be read again', async (t) => {
    const log = join(tempFolder(t), 'app.log');
    plantTraps(log);
    writeFileSync(`${log}.99991231T235959.998Z`, 'a file of this user\n');
    const files = new LogFiles(() => NOW);
    const writer = files.open(log, app(log, { maxBytes: 1000, retain: 5 }), note);
    for (let line = 0; line < 30; line++) writer.write(Buffer.from(`${'x'.repeat(99)}\n`));
    files.release(writer);
    await files.close();
    const aside = readdirSync(join(log, '..')).filter((name) =>
      name.startsWith(`app.log.${new Date(NOW).getUTCFullYear()}`),
    );
    assert.ok(aside.length >= 2, aside.join(' '));
  });

  test('of another user is no part of a log', root, async (t) => {
    const folder = tempFolder(t);
    chmodSync(folder, 0o1777);
    const log = join(folder, 'app.log');
    writeFileSync(log, 'now\n');
    const spec = app(log, { retain: 1 }, APP);
    const own = rotatedPath(log, NOW - MINUTE);
    writeFileSync(own, 'own\n');
    const foreign = [rotatedPath(log, NOW - 2 * MINUTE), `${log}.20350101T000000.000Z`, join(folder, 'app-7.log')];
    for (const path of foreign) {
      writeFileSync(path, 'foreign\n');
      chownSync(path, STRANGER, STRANGER);
    }
    await ran(t, spec);
    assert.deepEqual(
      [own, ...foreign].map((path) => existsSync(path)),
      [true, true, true, true],
    );
    const found = await segmentsOf(spec, new LogFolders([log]));
    assert.deepEqual(found.map(({ path }) => path).toSorted(), [log, own].toSorted());
  });

  test('does not remove the logs of other apps, however much of it there is', root, async (t) => {
    const folder = tempFolder(t);
    const [evil, good] = ['evil', 'good'].map((name) => join(folder, name, 'out.log')) as [string, string];
    for (const log of [evil, good]) {
      mkdirSync(join(log, '..'));
      writeFileSync(log, 'now\n');
    }
    // The log itself is the app's, and so is its folder.
    for (const path of [join(evil, '..'), evil]) chownSync(path, APP, APP);
    const kept = [3, 2, 1].map((age) => rotatedPath(good, NOW - age * MINUTE));
    for (const path of kept) writeFileSync(path, 'x'.repeat(1000));
    const [sparse, large] = [`${evil}.20350101T000000.000Z`, rotatedPath(evil, NOW)];
    writeFileSync(sparse, '');
    truncateSync(sparse, 6 * 1024 ** 3);
    writeFileSync(large, 'x'.repeat(100_000));
    for (const path of [sparse, large]) chownSync(path, APP, APP);
    // What it has not set aside, and cannot be removed.
    writeFileSync(evil, 'x'.repeat(50_000));
    const limit = { maxTotalAllBytes: 10_000 };
    await trimLogs(join(folder, 'none'), [
      { ...app(evil, limit, APP), name: 'evil' },
      { ...app(good, limit), name: 'good' },
    ]);
    for (const path of kept) assert.ok(existsSync(path), path);
    assert.equal(existsSync(large), false);
  });

  test('cannot lead retention to the logs of another app by a link', root, async (t) => {
    const folder = tempFolder(t);
    const victim = join(folder, 'victim.log');
    writeFileSync(victim, 'now\n');
    const old = rotatedPath(victim, NOW - MINUTE);
    writeFileSync(old, 'old\n');
    const link = join(folder, 'evil.log');
    symlinkSync(victim, link);
    lchownSync(link, APP, APP);
    await ran(t, app(link, { retain: 0 }, APP));
    await trimLogs(join(folder, 'none'), [app(link, { maxTotalAllBytes: 1 }, APP)]);
    assert.ok(existsSync(old));
    assert.match(emptyLogs([{ path: link, appUid: APP }]).problems.join(), /is a symbolic link of user 54322/);
    assert.equal(readFileSync(victim, 'utf8'), 'now\n');
  });

  test('is not emptied or written to by a second name of a file', root, (t) => {
    const folder = tempFolder(t);
    const precious = join(folder, 'precious');
    writeFileSync(precious, 'kept\n');
    const open = join(folder, 'open');
    mkdirSync(open);
    chmodSync(open, 0o1777);
    const log = join(open, 'app.log');
    linkSync(precious, log);
    assert.match(emptyLogs([{ path: log, appUid: null }]).problems.join(), /hard links/);
    assert.throws(() => new LogFiles(() => NOW).open(log, app(log), note), /hard links/);
    assert.equal(readFileSync(precious, 'utf8'), 'kept\n');
  });
});

test('a folder, or a pipe, in the place of a log is named', (t) => {
  const folder = tempFolder(t);
  const problems: string[] = [];
  for (const [name, make] of [
    ['folder', (path: string) => mkdirSync(path)],
    ['pipe', (path: string) => execFileSync('mkfifo', [path])],
  ] as const) {
    const path = join(folder, name);
    make(path);
    new LogSnapshot(path, true, (_path, error) => problems.push((error as Error).message)).close();
  }
  assert.deepEqual(problems, ['it is a folder, and no file', 'it is a named pipe, and no file']);
  const logs = ['folder', 'pipe'].map((name) => ({ path: join(folder, name), appUid: null }));
  assert.deepEqual(emptyLogs(logs), {
    emptied: [],
    problems: [`cannot empty the log ${join(folder, 'folder')}: it is a folder, and no file`],
  });
});

/** Lets the keeper of an app look once, and compress. */
async function ran(t: TestContext, spec: ReturnType<typeof app>): Promise<void> {
  const compressor = new Compressor();
  const keeper = new LogKeeper(
    spec,
    compressor,
    () => NOW,
    () => new LogFolders(logsOf(spec)),
  );
  t.after(() => {
    keeper.close();
    compressor.close();
  });
  await keeper.run();
}
