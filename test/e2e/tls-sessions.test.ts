import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type ConnectionOptions, connect } from 'node:tls';
import { fixture, sandbox } from './harness.ts';
import { selfSigned } from './secure.ts';
import { until } from './until.ts';

interface Visit {
  readonly resumed: boolean;
  readonly session: Buffer;
}

/** A request over a connection of its own, that resumes a session if it can. */
function visit(port: number, options: ConnectionOptions, session?: Buffer): Promise<Visit> {
  return new Promise((resolve, reject) => {
    const all = { port, host: '127.0.0.1', rejectUnauthorized: false, ...options, ...(session ? { session } : {}) };
    let latest = session;
    let resumed = false;
    const socket = connect(all, () => {
      resumed = socket.isSessionReused();
      socket.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    });
    socket.on('session', (fresh: Buffer) => {
      latest = fresh;
    });
    socket.on('error', reject);
    socket.resume();
    socket.on('close', () => {
      if (latest) resolve({ resumed, session: latest });
      else reject(new Error('no session was given'));
    });
  });
}

async function resumedOf(port: number, options: ConnectionOptions, session: Buffer, count: number): Promise<number> {
  let resumed = 0;
  for (let round = 0; round < count; round++) if ((await visit(port, options, session)).resumed) resumed++;
  return resumed;
}

async function check(t: TestContext, options: ConnectionOptions): Promise<void> {
  const box = await sandbox(t);
  Object.assign(box.env, selfSigned(box.cwd));
  // In turn, so that each worker is asked.
  const app = { name: 'web', script: fixture('https-app.js'), instances: 3, balance: 'rr' };
  await box.ok('start', box.write('eco.json', JSON.stringify({ apps: [app] })));
  const { session } = await visit(box.port, options);
  assert.equal(await resumedOf(box.port, options, session, 12), 12);
  await box.ok('reload', 'web');
  assert.equal(await resumedOf(box.port, options, session, 6), 6, 'after a reload');
  for (const pid of box.supervisors()) process.kill(pid, 'SIGKILL');
  await until(async () => (await box.upkeep('sendSignal', 'SIGCONT', 'all')).code === 0, 'the next supervisor');
  await box.ok('reload', 'web');
  assert.equal(await resumedOf(box.port, options, session, 6), 6, 'under the next supervisor');
}

test('TLS 1.3: sessions are resumed by each worker', (t) => check(t, { minVersion: 'TLSv1.3' }));
test('TLS 1.2: sessions are resumed by each worker', (t) => check(t, { maxVersion: 'TLSv1.2' }));
