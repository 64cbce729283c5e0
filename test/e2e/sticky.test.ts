import assert from 'node:assert/strict';
import { get as httpGet, type IncomingMessage } from 'node:http';
import { test } from 'node:test';
import { fixture, sandbox } from './harness.ts';
import { until } from './until.ts';

/** Asks over a connection of its own, from one of the addresses of this machine. */
function ask(port: number, localAddress: string, cookies: readonly string[]): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const headers = cookies.length > 0 ? { Cookie: cookies.join('; ') } : {};
    const options = { host: '127.0.0.1', port, localAddress, headers, agent: false };
    httpGet(options, (response) => {
      response.resume();
      response.once('end', () => resolve(response));
    }).once('error', reject);
  });
}

const linux = process.platform === 'linux' ? {} : { skip: 'it has one loopback address' };

test('a session stays with the worker that has made its cookie', linux, async (t) => {
  const box = await sandbox(t);
  const script = fixture('remembers-sessions.js');
  const app = { name: 'web', script, instances: 4, balance: 'sticky', sticky_cookie: 'io' };
  await box.ok('start', box.write('eco.json', JSON.stringify({ apps: [app] })));
  const sessions: (readonly string[])[] = [];
  for (let client = 1; client <= 30; client++) {
    const first = await ask(box.port, `127.0.0.${client}`, []);
    const set = first.headers['set-cookie'] ?? [];
    assert.equal(set.length, 3, set.join('\n'));
    assert.match(set[2] ?? '', /^io-upkeep=[0-3]; Path=\/; HttpOnly; SameSite=Strict$/);
    sessions.push(set.map((cookie) => cookie.split(';')[0] ?? ''));
  }
  // From elsewhere, too. Until the next supervisor accepts, workers do.
  const strangers = async (): Promise<number> => {
    let count = 0;
    for (const [index, cookies] of sessions.entries()) {
      for (const address of [`127.0.0.${index + 1}`, '127.0.1.1']) {
        const { statusCode } = await ask(box.port, address, cookies);
        if (statusCode !== 200) count++;
      }
    }
    return count;
  };
  assert.equal(await strangers(), 0);
  for (const pid of box.supervisors()) process.kill(pid, 'SIGKILL');
  await until(async () => (await strangers()) === 0, 'each session where it began');
});
