import assert from 'node:assert/strict';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fixture, type Sandbox, sandbox } from './harness.ts';
import { isAlive } from './processes.ts';
import { get, startLoad } from './requests.ts';
import { until } from './until.ts';

async function startFile(box: Sandbox, app: object): Promise<void> {
  box.write('apps.json', JSON.stringify({ apps: [{ name: 'web', ...app }] }));
  await box.ok('start', 'apps.json');
}

test('readiness by http: another language is online when it answers', async (t) => {
  const box = await sandbox(t);
  const text = [
    'import http.server, os, time',
    'class Handler(http.server.BaseHTTPRequestHandler):',
    '    asked = 0',
    '    def do_GET(self):',
    '        Handler.asked += 1',
    '        self.send_response(200 if Handler.asked > 2 else 503)',
    '        self.end_headers()',
    'http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()',
  ].join('\n');
  box.write('server.py', text);
  const readiness = { http: '/ready', port: box.port, interval: 50 };
  await startFile(box, { script: 'server.py', readiness });
  assert.equal((await get(box.port)).status, 200);
  assert.match((await box.ok('describe', 'web')).stdout, /ready when +http \/ready on port \d+, within 30000 ms/);
});

test('readiness that does not come fails the start, and says what was answered', async (t) => {
  const box = await sandbox(t);
  const app = { readiness: { http: '/health', interval: 50, deadline: 700 } };
  box.write(
    'server.js',
    `require('node:http').createServer((q, r) => { r.statusCode = 500; r.end(); }).listen(process.env.PORT)`,
  );
  box.write('apps.json', JSON.stringify({ apps: [{ name: 'web', ...app, script: 'server.js', max_restarts: 1 }] }));
  const { stderr } = await box.fails('start', 'apps.json');
  assert.match(stderr, /was not ready within 700 ms \(readiness: http \/health: status 500\)/);
});

test('a build that fails its readiness never replaces a good one', async (t) => {
  const box = await sandbox(t);
  const readiness = { http: '/health', interval: 50, deadline: 1500 };
  box.write('app.js', `require('node:http').createServer((q, r) => r.end('good')).listen(process.env.PORT)`);
  await startFile(box, { script: 'app.js', instances: 2, readiness });
  const before = await box.app('web');
  box.write(
    'app.js',
    `require('node:http').createServer((q, r) => { r.statusCode = 503; r.end('bad'); }).listen(process.env.PORT)`,
  );
  const load = startLoad(t, box.port);
  const { stderr } = await box.fails('reload', 'web');
  assert.match(stderr, /readiness: http \/health: status 503/);
  assert.deepEqual(
    (await box.app('web')).map(({ pid }) => pid),
    before.map(({ pid }) => pid),
  );
  assert.deepEqual((await load.stop()).failures, [], 'no client gets an answer of one that is not ready');
});

test('readiness by tcp, command, descriptor and log line', async (t) => {
  const box = await sandbox(t);
  const bash = (script: string): object => ({ script: 'bash', interpreter: 'none', args: ['-c', script] });
  const loop = 'while :; do sleep 0.1; done';
  const net = `require('node:net').createServer().listen(process.env.PORT)`;
  box.write('net.js', net);
  const apps = [
    { name: 'tcp', script: 'net.js', readiness: { tcp: true, interval: 50 } },
    { name: 'command', ...bash(`sleep 0.3; touch up; ${loop}`), readiness: { command: 'test -e up', interval: 50 } },
    { name: 'fd', ...bash(`sleep 0.3; touch fd-said; echo >&5; ${loop}`), readiness: { fd: 5 } },
    {
      name: 'log',
      ...bash(`echo not yet; sleep 0.3; touch log-said; echo is up >&2; ${loop}`),
      readiness: { log: '^is up$' },
    },
  ];
  box.write('apps.json', JSON.stringify({ apps }));
  await box.ok('start', 'apps.json');
  for (const { name, state } of await box.rows()) assert.equal(state.kind, 'online', name);
  for (const file of ['up', 'fd-said', 'log-said']) rmSync(`${box.cwd}/${file}`);
});

test('one that is not well is seen, and replaced without a failed request', async (t) => {
  const box = await sandbox(t);
  const liveness = { http: '/health', interval: 50, failures: 2 };
  await startFile(box, { script: fixture('health.js'), cwd: box.cwd, instances: 3, liveness });
  const [ill, ...others] = await box.app('web');
  const load = startLoad(t, box.port);
  await until(() => load.answered() > 20, 'some answers');
  box.write('ill', String(ill?.pid));
  await until(async () => {
    const rows = await box.app('web');
    return rows[0]?.pid !== ill?.pid && rows.every((row) => row.state.kind === 'online' && row.draining.length === 0);
  }, 'its successor');
  assert.equal(isAlive(ill?.pid ?? 0), false);
  const [successor, ...same] = await box.app('web');
  assert.deepEqual(
    same.map(({ pid }) => pid),
    others.map(({ pid }) => pid),
  );
  assert.match(successor?.exits[0]?.reason ?? '', /^http \/health: status 503/);
  assert.match((await box.ok('describe', 'web')).stdout, /last exits +code 0 after .* \(http \/health: status 503\)/);
  assert.deepEqual((await load.stop()).failures, []);
});

test('an event loop that stands still is seen from outside, and its worker replaced', async (t) => {
  const box = await sandbox(t);
  const app = { script: fixture('health.js'), cwd: box.cwd, instances: 2, kill_timeout: 300 };
  await startFile(box, { ...app, liveness: { event_loop: 1000 } });
  const [blocked] = await box.app('web');
  box.write('block', String(blocked?.pid));
  await until(async () => (await box.app('web'))[0]?.exits.length === 1, 'the end of the one that is blocked');
  const [after] = await box.app('web');
  assert.match(
    after?.exits[0]?.reason ?? '',
    /its event loop stood still for 1000 ms, in blockForEver \(.*health\.js:\d+:\d+\)/,
  );
  assert.match(readFileSync(join(box.home, 'logs', 'web-error-0.log'), 'utf8'), /stands still:\n {4}at blockForEver/);
  assert.equal(after?.exits[0]?.signal, 'SIGKILL');
  assert.equal(isAlive(blocked?.pid ?? 0), false);
});

test('in fork mode one that is not well is restarted', async (t) => {
  const box = await sandbox(t);
  await startFile(box, {
    script: fixture('health.js'),
    cwd: box.cwd,
    liveness: { http: '/health', interval: 50, failures: 1 },
  });
  const [ill] = await box.app('web');
  box.write('ill', String(ill?.pid));
  await until(async () => (await box.app('web'))[0]?.restarts === 1, 'its restart');
  assert.match((await box.app('web'))[0]?.exits[0]?.reason ?? '', /^http \/health: status 503/);
});

test('one that holds too much memory is replaced', async (t) => {
  const box = await sandbox(t);
  await startFile(box, { script: fixture('health.js'), cwd: box.cwd, instances: 2, max_memory_restart: '150M' });
  // It may be replaced before anyone can ask which one it was.
  const before = await box.app('web');
  const { body } = await get({ port: box.port, path: '/leak' });
  const leaky = before.find(({ pid }) => String(pid) === body);
  assert.ok(leaky);
  const place = async () => (await box.app('web')).find(({ id }) => id === leaky.id);
  await until(async () => (await place())?.exits.length === 1, 'its successor');
  assert.match((await place())?.exits[0]?.reason ?? '', /held 2\d\d MiB, more than max_memory_restart \(150 MiB\)/);
});

test('a heap that reached its limit is told as out of memory', async (t) => {
  const box = await sandbox(t);
  box.write('app.js', 'const all = []; for (;;) all.push(new Array(100000).fill({}));');
  const { stderr } = await box.fails('start', 'app.js', '--node-args', '--max-old-space-size=20', '--no-autorestart');
  assert.match(stderr, /out of memory/);
  assert.match((await box.ok('describe', 'app')).stdout, /last exits +(signal SIGABRT|code 134), out of memory/);
});

test('what cannot be asked is said at once', async (t) => {
  const box = await sandbox(t);
  const fails = async (more: object): Promise<string> => {
    box.write(
      'apps.json',
      JSON.stringify({ apps: [{ name: 'web', script: 'sleep', args: '100', interpreter: 'none', ...more }] }),
    );
    return (await box.fails('start', 'apps.json')).stderr;
  };
  assert.match(await fails({ readiness: { http: '/' } }), /readiness: expected a port[\s\S]*port: 3000/);
  assert.match(await fails({ readiness: { http: '/', tcp: 3 } }), /readiness: expected exactly one of http, tcp/);
  assert.match(await fails({ readiness: { htp: '/' } }), /readiness.*htp/);
  assert.match(await fails({ readiness: { log: '(' } }), /expected a regular expression/);
  assert.match(await fails({ liveness: { event_loop: '5s' } }), /only Node.js apps have an event loop/);
  assert.match(await fails({ liveness: {} }), /expected one of http, tcp and command, or event_loop/);
});

test('cron_restart replaces what runs, and runs again what has ended, but not what was stopped', async (t) => {
  const box = await sandbox(t);
  const every = { cron_restart: '* * * * * *', cwd: box.cwd };
  const job = { name: 'job', script: 'exit 0', autorestart: false, ...every };
  const apps = [
    { name: 'web', script: fixture('health.js'), instances: 2, ...every },
    { ...job, script: 'sleep 0.1' },
    { ...job, name: 'off', script: 'sleep 60' },
  ];
  box.write('apps.json', JSON.stringify({ apps }));
  await box.ok('start', 'apps.json');
  await box.ok('stop', 'off');
  const load = startLoad(t, box.port);
  await until(
    async () => (await box.app('web')).every(({ exits }) => exits.length > 0),
    'a replacement of all workers',
  );
  await until(async () => ((await box.app('job'))[0]?.restarts ?? 0) > 1, 'the second run of a job');
  assert.deepEqual((await load.stop()).failures, []);
  assert.match((await box.app('web'))[0]?.exits[0]?.reason ?? '', /cron_restart/);
  assert.equal((await box.app('off'))[0]?.state.kind, 'stopped');
});
