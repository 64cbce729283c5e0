import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { sandbox } from './harness.ts';
import { NOBODY, noOtherUser } from './nobody.ts';
import { until } from './until.ts';

test('what an app of another user puts into its log folder holds nobody up', { skip: noOtherUser() }, async (t) => {
  const box = await sandbox(t, { open: true });
  const folder = join(box.cwd, 'evil');
  mkdirSync(folder);
  chownSync(folder, NOBODY, NOBODY);
  const log = join(folder, 'evil.log');
  const file = box.write(
    'ecosystem.json',
    JSON.stringify({
      apps: [
        { name: 'other', script: 'while true; do date +%s%N; sleep 0.05; done' },
        {
          name: 'evil',
          script: box.write(
            'evil.sh',
            `cd ${folder}
            for date in 20250101T000000.000Z 20250102T000000.000Z.gz 20350101T000000.000Z; do mkfifo evil.log.$date .evil.log.$date.times; done
            mkdir evil.log.20250103T000000.000Z evil.log.99991231T235959.999Z
            ln -s /etc/passwd evil.log.20250104T000000.000Z
            truncate -s 6G evil.log.20360101T000000.000Z
            touch planted
            while true; do echo a line that is neither short nor long; sleep 0.001; done`,
          ),
          interpreter: 'bash',
          uid: NOBODY,
          gid: NOBODY,
          out_file: log,
          error_file: '/dev/null',
          log_max_size: '1k',
          log_retain: 2,
        },
      ],
    }),
  );
  await box.ok('start', file);
  await until(() => existsSync(join(folder, 'planted')), 'the traps');
  const year = new Date().getUTCFullYear();
  const aside = (): string[] => readdirSync(folder).filter((name) => name.startsWith(`evil.log.${year}`));
  const seen = new Set<string>();
  await until(() => {
    for (const name of aside()) seen.add(name);
    return seen.size > 6 && aside().length <= 3;
  }, 'files set aside and removed');

  const { stdout } = await box.ok('logs', 'evil', '--nostream');
  assert.match(stdout, /a line that is neither/);
  assert.doesNotMatch(stdout, /root:/);
  await box.ok('flush');
  const lines = (): number => box.log('other-out.log').split('\n').length;
  const before = lines();
  await until(() => lines() > before + 5, 'lines of the other app');

  // And in the place of the log itself.
  for (const make of ['mkfifo', 'mkdir']) {
    await box.ok('stop', 'evil');
    rmSync(log, { recursive: true, force: true });
    execFileSync(make, [log]);
    chownSync(log, NOBODY, NOBODY);
    const shown = await box.fails('logs', 'evil', '--nostream');
    assert.match(shown.stderr, /cannot read the log .*evil.log: it is a (named pipe|folder), and no file/);
    assert.doesNotMatch(shown.stderr, /bug/);
    await box.ok('restart', 'evil');
    const listed = await box.ok('list');
    assert.match(listed.stdout + listed.stderr, /evil .* is losing what it writes .*: it is a (named pipe|folder)/);
  }
  assert.equal((await box.app('other'))[0]?.state.kind, 'online');
});
