import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { UpkeepError } from '../../src/protocol/errors.ts';
import type { Hello } from '../../src/protocol/messages.ts';
import { Peer, type PeerHandlers } from '../../src/protocol/peer.ts';
import { tempFolder } from '../fakes/temp-folder.ts';

const unreachable = { code: 'DAEMON_UNREACHABLE' };

/** Both ends of one connection over a unix socket. */
async function socketPair(t: TestContext): Promise<[client: Socket, server: Socket]> {
  const path = join(tempFolder(t), 's.sock');
  const listener = createServer();
  const accepted = once(listener, 'connection') as Promise<[Socket]>;
  listener.listen(path);
  await once(listener, 'listening');
  const client = connect(path);
  const [server] = await accepted;
  t.after(() => {
    client.destroy();
    server.destroy();
    listener.close();
  });
  return [client, server];
}

async function peers(t: TestContext, server: PeerHandlers, client: PeerHandlers = {}): Promise<[Peer, Peer]> {
  const [near, far] = await socketPair(t);
  return [new Peer(near, client), new Peer(far, server)];
}

/** A peer whose other side is written to, and read from, by hand. */
async function byHand(
  t: TestContext,
  handlers: PeerHandlers,
): Promise<{ hand: Socket; peer: Peer; read: () => Promise<string> }> {
  const [hand, far] = await socketPair(t);
  hand.setEncoding('utf8');
  const read = async () => String((await once(hand, 'data'))[0]);
  return { hand, peer: new Peer(far, handlers), read };
}

describe('a request', () => {
  test('is answered', async (t) => {
    const [client] = await peers(t, { onRequest: (method, params) => ({ method, params }) });
    assert.deepEqual(await client.request('double', { of: 2 }, 1000), { method: 'double', params: { of: 2 } });
  });

  test('that is answered by nothing gets null', async (t) => {
    const [client] = await peers(t, { onRequest: () => undefined });
    assert.equal(await client.request('nothing', {}, 1000), null);
  });

  test('that fails brings the error of the other side', async (t) => {
    const [client] = await peers(t, {
      onRequest: () => {
        throw new UpkeepError('APP_BUSY', 'a reload runs', { stderr: ['line'] });
      },
    });
    await assert.rejects(client.request('x', {}, 1000), {
      code: 'APP_BUSY',
      message: 'a reload runs',
      stderr: ['line'],
      hint: 'wait for it to end, then try again',
    });
  });

  test('that meets a bug brings INTERNAL', async (t) => {
    const [client] = await peers(t, { onRequest: () => Promise.reject(new TypeError('boom')) });
    await assert.rejects(client.request('x', {}, 1000), { code: 'INTERNAL', message: 'boom' });
  });

  test('to one that takes none is refused', async (t) => {
    const [client] = await peers(t, {});
    await assert.rejects(client.request('x', {}, 1000), { code: 'METHOD_UNKNOWN' });
  });

  test('may be made by both sides, many at once, answered in any order', async (t) => {
    const answers = new Map<string, (value: unknown) => void>();
    const hold = (method: string) => new Promise((resolve) => answers.set(method, resolve));
    const [client, server] = await peers(t, { onRequest: hold }, { onRequest: (method) => `client ${method}` });
    const a = client.request('a', {}, 0);
    const b = client.request('b', {}, 0);
    assert.equal(await server.request('c', {}, 1000), 'client c');
    await client.request('c', {}, 1).catch(() => {});
    answers.get('b')?.('for b');
    assert.equal(await b, 'for b');
    answers.get('a')?.('for a');
    assert.equal(await a, 'for a');
  });

  test('that is not answered in time fails, and a late answer does no harm', async (t) => {
    let answer: (value: unknown) => void = () => {};
    const hold = () =>
      new Promise((resolve) => {
        answer = resolve;
      });
    const [client] = await peers(t, { onRequest: (method) => (method === 'slow' ? hold() : 'quick') });
    await assert.rejects(client.request('slow', {}, 5), {
      code: 'PEER_SILENT',
      message: 'no answer to "slow" within 5 ms',
    });
    answer('late');
    assert.equal(await client.request('other', {}, 1000), 'quick');
  });

  test('fails when the connection closes first', async (t) => {
    const [client] = await peers(t, { onRequest: (_method, _params) => new Promise(() => {}) });
    const pending = client.request('x', {}, 0);
    client.destroy();
    await assert.rejects(pending, unreachable);
    assert.equal(client.closed, true);
    await assert.rejects(client.request('y', {}, 0), unreachable);
  });

  test('without a deadline waits for as long as the other side lives', async (t) => {
    let answer: (value: unknown) => void = () => {};
    const hold = () =>
      new Promise((resolve) => {
        answer = resolve;
      });
    const [client, server] = await peers(t, { onRequest: hold }, { beatMs: 1 });
    const pending = client.request('slow', {}, 0);
    const alive = () => server.request('any', {}, 1000).catch(() => {});
    for (let round = 0; round < 50; round++) await alive();
    assert.equal(client.silent, false);
    answer('at last');
    assert.equal(await pending, 'at last');
  });

  test('without a deadline fails when the other side stands still, until it is heard again', async (t) => {
    const { hand, peer } = await byHand(t, { beatMs: 5 });
    await assert.rejects(peer.request('slow', {}, 0), {
      code: 'PEER_SILENT',
      message: 'nothing was heard for 25 ms',
    });
    assert.equal(peer.silent, true);
    const answer = peer.request('quick', {}, 10_000);
    hand.write('{"id":1,"result":"late"}\n{"id":7,"result":"fine"}\n');
    assert.equal(await answer, 'fine');
    assert.equal(peer.silent, false);
  });

  test('without a deadline is satisfied with an error as a sign of life, as an older peer sends it', async (t) => {
    const { hand, peer } = await byHand(t, { beatMs: 5 });
    const frames: { id: number; method: string }[] = [];
    const beaten = new Promise<void>((resolve) => {
      hand.on('data', (text) => {
        for (const line of String(text).trim().split('\n')) {
          const frame = JSON.parse(line) as { id: number; method: string };
          frames.push(frame);
          if (frame.method === 'alive') hand.write(`{"id":${frame.id},"error":{"code":"METHOD_UNKNOWN"}}\n`);
          if (frames.length === 20) resolve();
        }
      });
    });
    const pending = peer.request('slow', {}, 0);
    await beaten;
    assert.equal(peer.silent, false);
    hand.write('{"id":1,"result":"done"}\n');
    assert.equal(await pending, 'done');
  });

  test('and its answer may be large', async (t) => {
    const [client] = await peers(t, { onRequest: (_method, params) => params });
    const text = 'ü'.repeat(1024 * 1024);
    assert.equal(await client.request('echo', text, 10_000), text);
  });
});

describe('events', () => {
  test('arrive in order, after the hello', async (t) => {
    const seen: unknown[] = [];
    let hello: Hello | null = null;
    const handlers: PeerHandlers = {
      onHello: (first) => {
        hello = first;
      },
      onEvent: (event, data) => seen.push([event, data]),
    };
    const [client, server] = await peers(t, {}, { ...handlers, onRequest: () => 'done' });
    const sent: Hello = { role: 'daemon', version: '1.2.3', protocol: 1, pid: 9 };
    server.hello(sent);
    for (const number of [1, 2, 3]) server.notify('tick', { number });
    await server.request('sync', {}, 1000);
    assert.deepEqual(hello, sent);
    assert.deepEqual(
      seen,
      [1, 2, 3].map((number) => ['tick', { number }]),
    );
    client.end();
  });

  test('to one that does not listen are dropped', async (t) => {
    const [client, server] = await peers(t, {}, { onRequest: () => 'still here' });
    server.notify('tick', {});
    assert.equal(await server.request('sync', {}, 1000), 'still here');
    client.end();
  });
});

describe('what is long', () => {
  const long = 'x'.repeat(100_000);
  const list = Array.from({ length: 500 }, (_, at) => ({ at, long }));

  test('a list comes whole, in frames none of which is long', async (t) => {
    const { hand, read } = await byHand(t, { onRequest: () => list });
    hand.write('{"id":1,"method":"list","parts":true}\n');
    let text = '';
    while (!text.includes('"result"')) text += await read();
    const frames = text.trimEnd().split('\n');
    assert.ok(frames.every(({ length }) => length < 2 ** 20 + 1000));
    const parts = frames.map((frame) => JSON.parse(frame) as { part?: unknown[]; result?: unknown[] });
    assert.deepEqual(
      parts.flatMap(({ part, result }) => part ?? result),
      list,
    );
    const [client] = await peers(t, { onRequest: () => list });
    assert.deepEqual(await client.request('list', {}, 10_000), list);
    assert.deepEqual(await client.request('list', {}, 0), list);
  });

  test('who does not know of pieces gets one answer', async (t) => {
    const { hand, read } = await byHand(t, { onRequest: () => [1, 2] });
    const answer = read();
    hand.write('{"id":1,"method":"list"}\n');
    assert.deepEqual(JSON.parse(await answer), { id: 1, result: [1, 2] });
  });

  test('a list of nothing, or of lists, comes as it is', async (t) => {
    const [client] = await peers(t, { onRequest: (_method, params) => params });
    for (const each of [[], [[]], [[1], [2, [3]]]]) assert.deepEqual(await client.request('x', each, 1000), each);
  });

  test('the other side reads before more is sent', async (t) => {
    const { hand, peer, read } = await byHand(t, {});
    hand.pause();
    for (let sent = 0; sent < 300; sent++) peer.notify('x', { long });
    let more = false;
    const room = peer.room().then(() => {
      more = true;
    });
    await new Promise(setImmediate);
    assert.equal(more, false);
    hand.resume();
    await read();
    await room;
  });

  test('a request that would not be read fails, and no other one', async (t) => {
    const [client] = await peers(t, { onRequest: () => 'fine' });
    const tooLong = client.request('x', { text: 'x'.repeat(9 * 1024 ** 2) }, 0);
    await assert.rejects(tooLong, { code: 'TOO_LARGE', message: '"x" is longer than the other side reads' });
    assert.equal(await client.request('x', {}, 1000), 'fine');
  });

  test('an answer that would not be read is an error', async (t) => {
    const text = 'x'.repeat(64 * 1024 ** 2);
    const [client] = await peers(t, {
      onRequest: (method) => (method === 'x' ? { a: [text, text, text, text] } : 'fine'),
    });
    await assert.rejects(client.request('x', {}, 0), { code: 'TOO_LARGE', message: /^the answer to "x" is longer/ });
    assert.equal(await client.request('y', {}, 1000), 'fine');
  });
});

describe('a peer that cannot be understood', () => {
  for (const [what, line] of [
    ['is no JSON', 'GET / HTTP/1.1\n'],
    ['is no object', '42\n'],
    ['is null', 'null\n'],
    ['is no known frame', '{"colour":"blue"}\n'],
    ['has an id that is none', '{"id":"1","method":"x"}\n'],
  ] as const)
    test(`because it ${what} is told so, and left`, async (t) => {
      const requests: string[] = [];
      const { hand, read } = await byHand(t, { onRequest: (method) => requests.push(method) });
      const answer = read();
      hand.write(line);
      const { id, error } = JSON.parse(await answer) as { id: unknown; error: { code: string } };
      assert.deepEqual([id, error.code, requests], [null, 'PROTOCOL_MALFORMED', []]);
      await once(hand, 'close');
    });

  test('because of its length is left', async (t) => {
    const { hand, read } = await byHand(t, { maxFrameBytes: 100 });
    const answer = read();
    hand.write('x'.repeat(200));
    assert.match(await answer, /longer than 100 bytes/);
    await once(hand, 'close');
  });

  test('leaves us in turn: what is pending fails as it says', async (t) => {
    const { hand, peer, read } = await byHand(t, {});
    const asked = read();
    const pending = peer.request('x', {}, 0);
    await asked;
    hand.write('{"id":null,"error":{"code":"PROTOCOL_MALFORMED","message":"what is x?"}}\n');
    await assert.rejects(pending, { code: 'PROTOCOL_MALFORMED', message: 'what is x?' });
  });

  test('an answer to nothing is no reason to leave', async (t) => {
    const { hand, read } = await byHand(t, { onRequest: () => 'fine' });
    const answer = read();
    hand.write('{"id":99,"result":1}\n{"id":1,"method":"x"}\n');
    assert.deepEqual(JSON.parse(await answer), { id: 1, result: 'fine' });
  });
});

describe('the end', () => {
  test('is told to the owners of both sides', async (t) => {
    const closed: string[] = [];
    const both = new Promise<void>((resolve) => {
      const close = (side: string) => () => {
        if (closed.push(side) === 2) resolve();
      };
      void peers(t, { onClose: close('server') }, { onClose: close('client') }).then(([client]) => client.end());
    });
    await both;
    assert.deepEqual(closed.toSorted(), ['client', 'server']);
  });

  test('sends first what was written', async (t) => {
    let last = '';
    const closed = new Promise<void>((resolve) => {
      void peers(
        t,
        {},
        {
          onClose: resolve,
          onEvent: (event) => {
            last = event;
          },
        },
      ).then(([, server]) => {
        server.notify('goodbye', 'x'.repeat(500_000));
        server.end();
        server.notify('too late', {});
      });
    });
    await closed;
    assert.equal(last, 'goodbye');
  });
});
