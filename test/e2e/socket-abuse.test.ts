import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fixture, type Sandbox, sandbox } from './harness.ts';
import { get } from './requests.ts';

/** A daemon that is silent for so long hangs. */
const ANSWER_LIMIT_MS = 20_000;

interface Conversation {
  readonly socket: Socket;
  /** All that came back, once the other side has closed. */
  readonly closed: Promise<string>;
  readonly text: () => string;
  /** Resolves with the frames so far, when there are at least that many. */
  readonly frames: (count: number) => Promise<Record<string, unknown>[]>;
}

/** A raw connection to a socket of upkeep. The first frame that comes is its hello. */
function talk(path: string): Conversation {
  const socket = connect(path);
  let text = '';
  let wake = (): void => {};
  socket.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
    wake();
  });
  socket.on('error', () => {});
  const closed = new Promise<string>((resolve) => {
    socket.on('close', () => {
      wake();
      resolve(text);
    });
  });
  const lines = () => text.split('\n').slice(0, -1);
  const frames = async (count: number): Promise<Record<string, unknown>[]> => {
    const late = setTimeout(() => socket.destroy(), ANSWER_LIMIT_MS);
    while (lines().length < count) {
      if (socket.destroyed) throw new Error(`ended after ${lines().length} frames: ${text.slice(0, 500)}`);
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    clearTimeout(late);
    return lines().map((line) => JSON.parse(line) as Record<string, unknown>);
  };
  return { socket, closed, text: () => text, frames };
}

const write = (socket: Socket, data: string | Buffer) =>
  new Promise<void>((resolve) => {
    if (socket.destroyed || socket.write(data)) return resolve();
    socket.once('drain', resolve);
    socket.once('close', () => resolve());
  });

/** A sandbox with an app, and a check that neither it, nor the daemon, nor other clients noticed anything. */
async function bystander(t: TestContext): Promise<{ box: Sandbox; unharmed: () => Promise<void> }> {
  const box = await sandbox(t);
  await box.ok('start', fixture('http-hello.js'), '--name', 'web', '-i', '2');
  const rows = await box.rows();
  const daemon = await box.daemonPid();
  const supervisors = box.supervisors();
  const other = talk(join(box.home, 'run', 'daemon.sock'));
  t.after(() => other.socket.destroy());
  await other.frames(1);
  let asked = 0;
  return {
    box,
    unharmed: async () => {
      other.socket.write(`${JSON.stringify({ id: ++asked, method: 'ping', params: {} })}\n`);
      const answers = await other.frames(1 + asked);
      assert.equal(
        (answers.at(-1)?.['result'] as { pid: number } | undefined)?.pid,
        daemon,
        'the same daemon, the same connection',
      );
      assert.equal(await box.daemonPid(), daemon);
      assert.deepEqual(box.supervisors(), supervisors);
      const picture = (views: typeof rows) =>
        views.map(({ id, pid, restarts, state }) => [id, pid, restarts, state.kind]);
      assert.deepEqual(picture(await box.rows()), picture(rows));
      assert.equal((await get(box.port)).status, 200);
    },
  };
}

const errorOf = (frame: Record<string, unknown> | undefined) =>
  (frame?.['error'] ?? {}) as { code: string; message: string };

test('random bytes', async (t) => {
  const { box, unharmed } = await bystander(t);
  for (let round = 0; round < 20; round++) {
    const { socket, closed } = talk(join(box.home, 'run', 'daemon.sock'));
    await write(socket, Buffer.concat([randomBytes(4096), Buffer.from('\n')]));
    const said = await closed;
    assert.match(said, /PROTOCOL_MALFORMED/);
  }
  await unharmed();
});

test('lines that are no requests are answered with an error, and the connection ends', async (t) => {
  const { box, unharmed } = await bystander(t);
  for (const line of ['hello', '{', '42', '"text"', 'null', '[]', '{}', '{"id":1}x', '{"id":"1","method":"list"}']) {
    const { socket, closed } = talk(join(box.home, 'run', 'daemon.sock'));
    await write(socket, `${line}\n`);
    const frames = (await closed)
      .trim()
      .split('\n')
      .map((text) => JSON.parse(text) as Record<string, unknown>);
    assert.equal(errorOf(frames.at(-1)).code, 'PROTOCOL_MALFORMED', line);
  }
  await unharmed();
});

test('a line of 100 MB is cut off long before its end', async (t) => {
  const { box, unharmed } = await bystander(t);
  const { socket, closed } = talk(join(box.home, 'run', 'daemon.sock'));
  const block = 'x'.repeat(1024 * 1024);
  let sent = 0;
  for (; sent < 100 && !socket.destroyed; sent++) await write(socket, block);
  const said = await closed;
  assert.ok(sent < 100, 'all of it was read');
  // The error may be lost with the connection, on which there was still so much to read.
  if (said.includes('error')) assert.match(said, /PROTOCOL_MALFORMED.*longer than/);
  await unharmed();
});

test('half a message, then the end', async (t) => {
  const { box, unharmed } = await bystander(t);
  for (const half of ['{"id":1,"meth', '{"id":1,"method":"operate","params":{"kind":"stop","selectors":["all"]}}']) {
    const { socket, closed } = talk(join(box.home, 'run', 'daemon.sock'));
    await write(socket, half);
    socket.end();
    await closed;
    const abrupt = talk(join(box.home, 'run', 'daemon.sock'));
    await write(abrupt.socket, half);
    abrupt.socket.destroy();
    await abrupt.closed;
  }
  await unharmed();
});

test('wrong types, unknown methods and names of Object are answered, and the connection goes on', async (t) => {
  const { box, unharmed } = await bystander(t);
  const { socket, frames } = talk(join(box.home, 'run', 'daemon.sock'));
  const requests: [string, unknown, string][] = [
    ['nothing', {}, 'METHOD_UNKNOWN'],
    ['__proto__', {}, 'METHOD_UNKNOWN'],
    ['constructor', {}, 'METHOD_UNKNOWN'],
    ['toString', {}, 'METHOD_UNKNOWN'],
    ['', {}, 'METHOD_UNKNOWN'],
    ['operate', {}, 'PROTOCOL_MALFORMED'],
    ['operate', null, 'PROTOCOL_MALFORMED'],
    ['operate', [], 'PROTOCOL_MALFORMED'],
    ['operate', { kind: 'explode', selectors: ['all'] }, 'PROTOCOL_MALFORMED'],
    ['operate', { kind: 'stop', selectors: 'all' }, 'PROTOCOL_MALFORMED'],
    ['operate', { kind: 'stop', selectors: [{ toString: 'all' }] }, 'PROTOCOL_MALFORMED'],
    ['scale', { selector: 'web', change: { kind: 'to', count: -1 } }, 'PROTOCOL_MALFORMED'],
    ['scale', { selector: 'web', change: { kind: 'by', delta: 0.5 } }, 'PROTOCOL_MALFORMED'],
    ['signal', { selectors: ['web'], signal: 9 }, 'PROTOCOL_MALFORMED'],
    ['apply', { specs: [{ name: 'x' }], existing: 'error' }, 'PROTOCOL_MALFORMED'],
    ['apply', { specs: 'x', existing: 'error' }, 'PROTOCOL_MALFORMED'],
    ['describe', { selectors: ['nobody'] }, 'APP_NOT_FOUND'],
  ];
  for (const [index, [method, params]] of requests.entries()) {
    await write(socket, `${JSON.stringify({ id: index + 1, method, params })}\n`);
  }
  const answers = await frames(requests.length + 1);
  for (const [index, [method, params, code]] of requests.entries()) {
    const answer = answers.find(({ id }) => id === index + 1);
    assert.equal(errorOf(answer).code, code, `${method} ${JSON.stringify(params)} -> ${JSON.stringify(answer)}`);
  }
  socket.destroy();
  await unharmed();
});

test('more instances than any machine can run are refused', async (t) => {
  const { box, unharmed } = await bystander(t);
  for (const count of [1e99, 1e9]) {
    const { socket, frames } = talk(join(box.home, 'run', 'daemon.sock'));
    const params = { selector: 'web', change: { kind: 'to', count } };
    await write(socket, `${JSON.stringify({ id: 1, method: 'scale', params })}\n`);
    const answers = await frames(2);
    assert.ok(answers[1]?.['error'], JSON.stringify(answers[1]));
    socket.destroy();
  }
  await unharmed();
});

test('JSON that is nested very deep', async (t) => {
  const { box, unharmed } = await bystander(t);
  const deep = (open: string, close: string) => open.repeat(200_000) + close.repeat(200_000);
  for (const line of [
    deep('[', ']'),
    '['.repeat(1_000_000),
    `{"id":1,"method":"operate","params":${deep('[', ']')}}`,
    `{"id":1,"method":"operate","params":{"kind":"stop","selectors":${deep('[', ']')}}}`,
    `{"id":1,"method":"apply","params":{"specs":[${'{"env":'.repeat(100_000)}1${'}'.repeat(100_000)}],"existing":"error"}}`,
  ]) {
    const conversation = talk(join(box.home, 'run', 'daemon.sock'));
    await write(conversation.socket, `${line}\n`);
    const frames = await conversation.frames(2);
    assert.equal(errorOf(frames[1]).code, 'PROTOCOL_MALFORMED', line.slice(0, 60));
    conversation.socket.destroy();
  }
  await unharmed();
});

test('a client that asks and asks and never reads', async (t) => {
  const { box, unharmed } = await bystander(t);
  const greedy = connect(join(box.home, 'run', 'daemon.sock'));
  greedy.on('error', () => {});
  greedy.pause();
  for (let id = 1; id <= 2000; id++) {
    if (greedy.destroyed) break;
    greedy.write(`${JSON.stringify({ id, method: 'describe', params: { selectors: ['all'] } })}\n`);
  }
  await unharmed();
  greedy.destroy();
  await unharmed();
});

test('many connections at once, that say nothing', async (t) => {
  const { box, unharmed } = await bystander(t);
  const silent = Array.from({ length: 200 }, () => talk(join(box.home, 'run', 'daemon.sock')));
  await Promise.all(silent.map(({ frames }) => frames(1)));
  await unharmed();
  for (const { socket } of silent) socket.destroy();
  await unharmed();
});

test("a supervisor's socket is as robust", async (t) => {
  const { box, unharmed } = await bystander(t);
  const sockets = readdirSync(join(box.home, 'run')).filter((name) => /^supervisor-.*\.sock$/.test(name));
  assert.equal(sockets.length, 1);
  const path = join(box.home, 'run', sockets[0] ?? '');
  for (const line of ['nonsense', '{}', '{"id":1', '['.repeat(100_000), randomBytes(1000).toString('latin1')]) {
    const { socket, closed } = talk(path);
    await write(socket, `${line}\n`);
    await closed;
  }
  const { socket, frames } = talk(path);
  const requests = ['run', 'adopt', 'signal', 'explode', 'constructor'];
  for (const [index, method] of requests.entries()) {
    await write(socket, `${JSON.stringify({ id: index + 1, method, params: { ids: 'all', kind: 'stop' } })}\n`);
  }
  const answers = await frames(requests.length + 1);
  assert.ok(answers.slice(1).every((answer) => answer['error']));
  socket.destroy();
  await unharmed();
});
