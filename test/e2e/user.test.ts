import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fixture, NODE, type Sandbox, sandbox } from './harness.ts';
import { NOBODY, noOtherUser } from './nobody.ts';
import { until } from './until.ts';

interface View {
  readonly ids: readonly number[];
  readonly groups: string;
  readonly home: string;
  readonly user: string;
  readonly logname: string;
  readonly pid: number;
  readonly execPath: string;
  readonly stderr: string;
  readonly root: string;
}

const skip = noOtherUser();
const GROUPS = [60_001, 60_002];
const MODES = [
  ['fork', [], 'app-out.log'],
  ['cluster', ['-i', '1', '--listen-timeout', '100'], 'app-out-0.log'],
] as const;

async function viewOf(box: Sandbox, log: string): Promise<View> {
  return JSON.parse(/\{.*\}/.exec(await box.logged(log, /\}\n/))?.[0] ?? '') as View;
}

/** What runs a command line where `nobody` is in two more groups. @returns null where that cannot be made so. */
function withGroups(t: TestContext, folder: string): string[] | null {
  const file = join(folder, 'group');
  const more = GROUPS.map((gid, index) => `upkeep-${index}:x:${gid}:nobody\n`).join('');
  writeFileSync(file, readFileSync('/etc/group', 'utf8').trimEnd() + '\n' + more, { mode: 0o644 });
  const through = ['unshare', '--mount', 'sh', '-c', 'mount --bind "$0" /etc/group; exec "$@"', file];
  const [program = '', ...args] = through;
  const { stdout } = spawnSync(program, [...args, 'id', '-G', 'nobody'], { encoding: 'utf8' });
  if (stdout?.includes(String(GROUPS[1]))) return through;
  t.skip('nothing may be mounted here');
  return null;
}

for (const [mode, flags, log] of MODES) {
  test(`${mode} mode: an app with a uid has the groups, and the variables, of that user`, { skip }, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'uk-groups-'));
    const through = withGroups(t, folder);
    if (!through) return rmSync(folder, { recursive: true });
    const box = await sandbox(t, { through, open: true });
    t.after(() => rmSync(folder, { recursive: true }));
    await box.ok('start', fixture('tells-its-user.js'), '--name', 'app', '--uid', 'nobody', ...flags);
    const view = await viewOf(box, log);
    const [row] = await box.app('app');
    assert.deepEqual(view, {
      ids: [NOBODY, NOBODY, NOBODY, NOBODY],
      groups: [NOBODY, ...GROUPS].join(' '),
      home: '/nonexistent',
      user: 'nobody',
      logname: 'nobody',
      pid: row?.pid,
      execPath: NODE,
      stderr: 'ok',
      root: 'EPERM',
    });
    await box.logged(log.replace('out', 'error'), 'opened anew');
    // Those of the caller are taken over, but not who that is.
    await box.run(['restart', 'app', '--update-env'], { env: { HOME: '/root', FRESH: 'yes', UPKEEP_X: '1' } });
    const { stdout } = await box.ok('env', '0');
    assert.match(stdout, /^FRESH=yes$/m);
    assert.match(stdout, /^HOME=\/nonexistent$/m);
    assert.doesNotMatch(stdout, /^UPKEEP_/m);
  });

  test(`${mode} mode: a number that is no user of the system has no groups, and needs a gid`, { skip }, async (t) => {
    const box = await sandbox(t, { open: true });
    const start = ['start', fixture('tells-its-user.js'), '--name', 'app', '--uid', '54321', ...flags];
    assert.match((await box.fails(...start)).stderr, /no user 54321.*\n.*name a gid too/);
    await box.ok(...start, '--gid', '54322');
    const { ids, groups, home, user } = await viewOf(box, log);
    assert.deepEqual(
      { ids, groups, home, user },
      { ids: [54321, 54321, 54322, 54322], groups: '54322', home: '/', user: '54321' },
    );
  });

  test(`${mode} mode: a program that its user may not read tells so`, { skip }, async (t) => {
    const box = await sandbox(t);
    box.write('app.js', 'setInterval(() => {}, 1e6)');
    const { stderr } = await box.fails('start', 'app.js', '--uid', 'nobody', '--max-restarts', '1', ...flags);
    assert.match(stderr, /user 65534 may not read, or run, what it needs .*\n/);
  });
}

test('other programs, their probes and their variables too', { skip }, async (t) => {
  const box = await sandbox(t, { open: true });
  const script = 'echo "$(id -u) $(id -g) $HOME $USER"; exec sleep 1000';
  const app = { name: 'app', script: 'sh', args: ['-c', script], uid: 'nobody', env: { USER: 'declared' } };
  const file = box.write(
    'eco.json',
    JSON.stringify({ apps: [{ ...app, readiness: { command: `test "$(id -u)" = ${NOBODY}` } }] }),
  );
  await box.ok('start', file);
  await box.logged('app-out.log', `${NOBODY} ${NOBODY} /nonexistent declared\n`);
});

/** What runs a command line where `getent` does not answer as long as a file is there. */
function withSlowUsers(t: TestContext, folder: string): { through: string[]; flag: string } | null {
  const [flag, real, slow] = [join(folder, 'silent'), join(folder, 'getent'), join(folder, 'slow')];
  copyFileSync('/usr/bin/getent', real);
  writeFileSync(slow, `#!/bin/sh\nwhile [ -e ${flag} ]; do sleep 0.05; done\nexec ${real} "$@"\n`, { mode: 0o755 });
  chmodSync(folder, 0o755);
  const through = ['unshare', '--mount', 'sh', '-c', 'mount --bind "$0" /usr/bin/getent; exec "$@"', slow];
  const [program = '', ...args] = through;
  if (spawnSync(program, [...args, 'getent', 'passwd', 'nobody']).status === 0) return { through, flag };
  t.skip('nothing may be mounted here');
  return null;
}

test('a user database that does not answer holds up who needs it, and nobody else', { skip }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'uk-users-'));
  const users = withSlowUsers(t, folder);
  if (!users) return rmSync(folder, { recursive: true });
  const { through, flag } = users;
  const box = await sandbox(t, { through, open: true });
  t.after(() => rmSync(folder, { recursive: true }));
  await box.ok('start', fixture('tells-its-user.js'), '--name', 'app', '--uid', 'nobody');
  await box.ok('start', fixture('idles.js'), '--name', 'other');
  const { groups } = await viewOf(box, 'app-out.log');
  // Its supervisor knows by now. The next one does not.
  writeFileSync(flag, '');
  const [supervisor = 0] = box.supervisors();
  process.kill(supervisor, 'SIGKILL');
  await until(() => box.supervisors().some((pid) => pid !== supervisor), 'another supervisor');
  const restart = box.fails('restart', 'app');
  await until(async () => (await box.app('app'))[0]?.state.kind === 'starting', 'the start');
  await box.ok('restart', 'other');
  assert.equal((await box.app('app'))[0]?.pid, null);
  const { stderr } = await restart;
  assert.match(stderr, /cannot be started: the user database of the system does not answer \(getent passwd 65534/);
  assert.match(stderr, /next: see why: sssd, or the LDAP server/);
  const started = await box.fails('start', fixture('idles.js'), '--name', 'new', '--uid', 'daemon');
  assert.match(started.stderr, /user database of the system does not answer \(getent passwd daemon: 10000 ms\)/);
  const logged = box.log('app-out.log').length;
  rmSync(flag);
  await until(async () => (await box.app('app'))[0]?.state.kind === 'online', 'the app');
  await until(() => box.log('app-out.log').slice(logged).includes('}\n'), 'its groups');
  const [last = ''] = /\{.*\}/.exec(box.log('app-out.log').slice(logged)) ?? [];
  assert.equal((JSON.parse(last) as View).groups, groups);
});
