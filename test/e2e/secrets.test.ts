import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fixture, type Sandbox, sandbox } from './harness.ts';

const SECRETS = ['hunter2', 'hunter3', 'hunter4', 'hunter5'];
const hold = (text: string): string[] => SECRETS.filter((secret) => text.includes(secret));

/** The files of a home in which a secret stands; the app itself wrote none. */
function filesWithSecrets(box: Sandbox): string[] {
  return readdirSync(box.home, { recursive: true, encoding: 'utf8' })
    .filter((entry) => statSync(join(box.home, entry)).isFile())
    .filter((entry) => hold(readFileSync(join(box.home, entry), 'latin1')).length > 0)
    .toSorted();
}

test('the values of variables are shown by `env`, and by nothing else', async (t) => {
  const box = await sandbox(t);
  box.env['OF_THE_SHELL'] = 'hunter2';
  const write = (value: string): string => {
    const apps = [
      { name: 'app', script: fixture('idles.js'), env: { DECLARED: value } },
      { name: 'web', script: fixture('port-zero.js'), instances: 2, env: { DECLARED: value } },
      { name: 'bad', script: fixture('throws-at-start.js'), max_restarts: 1, env: { DECLARED: value } },
    ];
    return box.write('ecosystem.json', JSON.stringify({ apps }));
  };
  const shown = [await box.fails('start', write('hunter3'))];
  const changed = write('hunter4');
  shown.push(await box.ok('plan', changed), await box.ok('plan', changed, '--json'), await box.fails('apply', changed));
  const unreadable = box.write('broken.json', JSON.stringify({ apps: [{ script: 'x', env: { 'A=B': 'hunter5' } }] }));
  shown.push(await box.fails('start', unreadable), await box.fails('plan', unreadable));
  const commands = [
    'list',
    'list --json',
    'jlist',
    'prettylist',
    'describe app',
    'describe app --json',
    'describe web --json',
  ];
  commands.push(
    'restart app --update-env --json',
    'reload web --update-env',
    'scale web 1',
    'rollback app',
    'describe app --json',
  );
  commands.push('logs --nostream', 'stop web --json', 'id app', 'delete bad --json');
  for (const command of commands) shown.push(await box.ok(...command.split(' ')));
  for (const { stdout, stderr } of shown) assert.deepEqual(hold(stdout + stderr), [], stdout + stderr);

  assert.match((await box.ok('env', 'web')).stdout, /^DECLARED=hunter4$[^]*^OF_THE_SHELL=hunter2$/m);
  await box.ok('save');
  const files = filesWithSecrets(box).map((file) => file.replace(/supervisor-\w+/, 'supervisor-KEY'));
  const ledger = 'run/supervisor-KEY.ledger';
  // What is wanted, the generation before, what was saved, and what the next supervisors must know.
  assert.deepEqual([...new Set(files)], ['dump.json', ledger, 'state.json', 'state.json.1']);
});

test('what an app is not given is kept nowhere', async (t) => {
  const box = await sandbox(t);
  box.env['OF_THE_SHELL'] = 'hunter2';
  const apps = [{ name: 'app', script: fixture('idles.js'), env: { DECLARED: 'yes' } }];
  await box.ok('apply', box.write('ecosystem.json', JSON.stringify({ apps })));
  await box.ok('start', fixture('idles.js'), '--name', 'filtered', '--filter-env', 'OF_THE');
  await box.ok('stop', 'all');
  assert.deepEqual(filesWithSecrets(box), []);
});
