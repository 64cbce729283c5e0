import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fixture, type Sandbox, sandbox } from '../e2e/harness.ts';
import { until } from '../e2e/until.ts';
import { campaign, corpusOf } from './campaign.ts';
import { mutateBytes, mutateJson } from './mutations.ts';
import type { Random } from './random.ts';

const CI_MS = 4000;

/** A sandbox with an app in each mode, and a check that nothing has happened to them, nor to who looks after them. */
async function bystanders(t: TestContext): Promise<{ box: Sandbox; unharmed: () => Promise<void> }> {
  const box = await sandbox(t);
  await box.ok('start', fixture('idles.js'), '--name', 'fork');
  await box.ok('start', fixture('http-hello.js'), '--name', 'cluster', '-i', '2');
  const look = async () => {
    const rows = (await box.rows()).filter(({ name }) => name === 'fork' || name === 'cluster');
    return [await box.daemonPid(), rows.map(({ id, pid, restarts, state }) => [id, pid, restarts, state.kind])];
  };
  const before = await look();
  const supervisors = box.supervisors();
  return {
    box,
    unharmed: async () => {
      assert.deepEqual(await look(), before);
      const now = box.supervisors();
      assert.deepEqual(
        supervisors.filter((pid) => !now.includes(pid)),
        [],
        readFileSync(join(box.home, 'daemon.log'), 'utf8').slice(-3000),
      );
    },
  };
}

const questions: readonly Buffer[] = [
  ['ping', {}],
  ['list', {}],
  ['describe', { selectors: ['nobody'] }],
  ['operate', { kind: 'stop', selectors: ['nobody'] }],
  ['scale', { selector: 'nobody', change: { kind: 'by', delta: 1 } }],
  ['signal', { selectors: ['nobody'], ids: [], signal: 'SIGCONT' }],
  ['run', { kind: 'stop', apps: [], ids: [] }],
  ['apply', { specs: [{ name: 'nobody', program: { script: '/nowhere', args: [1] } }], existing: 'error' }],
].map(([method, params], index) => Buffer.from(`${JSON.stringify({ id: index, method, params })}\n`));

test('sockets', async (t) => {
  const { box, unharmed } = await bystanders(t);
  const sockets = readdirSync(join(box.home, 'run')).filter((entry) => /^(daemon|supervisor-.*)\.sock$/.test(entry));
  assert.equal(sockets.length, 3);
  await campaign<Buffer>(
    {
      name: 'real/sockets',
      corpus: questions,
      mutate: (random, input) => mutateBytes(random, random.chance(0.5) ? Buffer.concat(questions) : input, questions),
      check: async (input, random) => {
        const path = join(box.home, 'run', random.pick(sockets));
        await send(path, input);
        if (random.chance(0.005)) await unharmed();
      },
    },
    CI_MS,
  );
  await unharmed();
});

/** Resolves when the other side has closed, or has nothing more to say. */
function send(path: string, bytes: Buffer): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.on('error', () => {});
    socket.on('close', () => resolve());
    socket.resume();
    socket.end(bytes);
  });
}

/** So many instances of a hostile app speak at once. */
const INSTANCES = 8;

const conversations = corpusOf('ipc').map(({ bytes }) => JSON.parse(bytes.toString('utf8')) as unknown[]);
const ofNode = [
  { cmd: 'NODE_CLUSTER', act: 'queryServer', address: '127.0.0.1', port: 0, addressType: 4, fd: 0, seq: 1, index: 0 },
  { cmd: 'NODE_CLUSTER', act: 'listening', address: null, port: 80, addressType: 4, seq: 2 },
  { cmd: 'NODE_CLUSTER', ack: 3 },
  { cmd: 'NODE_HANDLE', type: 'net.Socket', msg: { cmd: 'NODE_UPKEEP', body: { kind: 'pong' } } },
  { cmd: 'NODE_HANDLE_ACK' },
  { cmd: 'NODE_HANDLE_NACK' },
  'ready',
];

/** Lines for a channel; the last ones may be anything. */
function hostileTexts(random: Random): string[] {
  const lines = Array.from({ length: 200 }, () => {
    const body = random.pick(random.pick(conversations));
    const message = random.chance(0.3) ? random.pick(ofNode) : { cmd: 'NODE_UPKEEP', body };
    const json = JSON.stringify(message);
    return `${random.chance(0.7) ? mutateJson(random, json) : json}\n`;
  });
  const end = mutateBytes(random, Buffer.from(lines.slice(0, 5).join('')), [Buffer.from(lines.join(''))]);
  return [...lines.map((line) => Buffer.from(line)), end].map((bytes) => bytes.toString('latin1'));
}

/** What once ended the supervisor: something that is no message, and a handle that does not come. */
const FINDINGS = ['{}\n', '{"cmd":"NODE_HANDLE","type":"net.Socket","msg":{}}\n{"broken\n'];

const base64 = (text: string) => Buffer.from(text, 'latin1').toString('base64');

test('channels of apps', async (t) => {
  const { box, unharmed } = await bystanders(t);
  await campaign<{ readonly mode: string; readonly texts: readonly (readonly string[])[] }>(
    {
      name: 'real/channels',
      corpus: ['fork', 'cluster'].map((mode) => ({ mode, texts: Array.from({ length: INSTANCES }, () => FINDINGS) })),
      mutate: (random, { mode }) => ({ mode, texts: Array.from({ length: INSTANCES }, () => hostileTexts(random)) }),
      check: async ({ mode, texts }) => {
        const name = `hostile-${randomUUID().slice(0, 8)}`;
        const app = {
          name,
          script: fixture('writes-to-channel.js'),
          exec_mode: mode,
          instances: INSTANCES,
          args: [box.write(`${name}-texts.json`, JSON.stringify(texts.map((list) => list.map(base64))))],
          autorestart: false,
          merge_logs: true,
          listen_timeout: 500,
          kill_timeout: 100,
          drain_timeout: 100,
        };
        await box.run(['start', box.write(`${name}.json`, JSON.stringify({ apps: [app] }))]);
        const done = async () => {
          const log = box.log(`${name}-out.log`);
          const rows = await box.app(name);
          return rows.every(
            ({ state, index }) => ['stopped', 'errored'].includes(state.kind) || log.includes(`written by ${index}\n`),
          );
        };
        await until(done, 'all to have spoken');
        await unharmed();
        await box.run(['delete', name]);
      },
    },
    CI_MS,
  );
  await unharmed();
});
