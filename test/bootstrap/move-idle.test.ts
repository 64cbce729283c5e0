import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type RequestListener, Server, type ServerOptions } from 'node:http';
import { createRequire } from 'node:module';
import { connect, createServer as createNetServer, type Server as NetServer, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import type { HttpSocket } from '../../src/bootstrap/connections.ts';
import { bringIn, idleAmong, takeOut } from '../../src/bootstrap/move-idle.ts';
import { until } from '../e2e/until.ts';

// The bootstrap is CommonJS.
Object.assign(globalThis, { require: createRequire(import.meta.url) });

const GET = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n';

interface Served {
  readonly server: NetServer;
  /** Of the server's side. */
  readonly sockets: HttpSocket[];
  readonly port: number;
}

async function serve(t: TestContext, server: NetServer): Promise<Served> {
  const sockets: HttpSocket[] = [];
  const emit = server.emit.bind(server) as (event: string, ...args: unknown[]) => boolean;
  // A listener would be seen.
  server.emit = (event: string, ...args: unknown[]) => {
    if (event === 'connection') sockets.push(args[0] as HttpSocket);
    return emit(event, ...args);
  };
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return { server, sockets, port: (server.address() as { port: number }).port };
}

const http = (t: TestContext, handler: RequestListener = echo, options: ServerOptions = {}): Promise<Served> =>
  serve(t, createServer({ keepAliveTimeout: 60_000, ...options }, handler));

/** Answers with the length of what was sent. */
const echo: RequestListener = (request, response) => {
  let size = 0;
  request.on('data', (chunk: Buffer) => {
    size += chunk.length;
  });
  request.on('end', () => {
    const answer = `got ${size}`;
    // Else HTTP/1.0 keeps no connection.
    response.setHeader('Content-Length', answer.length);
    response.end(answer);
  });
};

class Client {
  readonly socket: Socket;
  text = '';
  ended = false;

  constructor(t: TestContext, port: number) {
    this.socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    this.socket.setEncoding('latin1').on('data', (chunk: string) => {
      this.text += chunk;
    });
    this.socket.on('end', () => {
      this.ended = true;
    });
    this.socket.on('error', () => {});
    t.after(() => this.socket.destroy());
  }

  say(text: string): this {
    this.socket.write(text);
    return this;
  }

  async heard(text: string): Promise<void> {
    await until(() => this.text.includes(text), `"${text}" in an answer`);
  }
}

const moving = ({ sockets }: Served): string[] => idleAmong(sockets, () => true, 100).map(({ moves }) => moves);
const moves = (served: Served, as: string): Promise<unknown> =>
  until(() => moving(served)[0] === as, `a connection that is ${as}`);

const MOVE: readonly (readonly [what: string, said: string, heard: string, handler?: RequestListener])[] = [
  ['an answer', GET, 'got 0'],
  ['an upload', `POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n${'x'.repeat(5000)}`, 'got 5000'],
  ['an empty line', `${GET}\r\n`, 'got 0'],
  [
    'chunks with trailers',
    'POST / HTTP/1.1\r\nHost: x\r\nTrailer: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\na: b\r\n\r\n',
    'got 2',
  ],
  ['HTTP/1.0 that is kept', 'GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n', 'got 0'],
  ['requests in one piece', GET.repeat(3), 'got 0', (_request, response) => setTimeout(() => response.end('got 0'), 5)],
  ['100-continue', 'POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nab', 'got 2'],
  [
    'an upgrade that is not taken up',
    GET.replace('\r\n\r\n', '\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n'),
    'got 0',
  ],
  [
    'a body that nobody reads',
    'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc',
    'unread',
    (_request, response) => response.end('unread'),
  ],
  [
    'HEAD',
    GET.replace('GET', 'HEAD'),
    'Content-Length: 5',
    (_request, response) => {
      response.setHeader('Content-Length', 5);
      response.end();
    },
  ],
  [
    'a 304',
    GET,
    '304',
    (_request, response) => {
      response.statusCode = 304;
      response.end();
    },
  ],
  [
    'timers of a request',
    GET,
    'timers',
    (request, response) => {
      request.setTimeout(1000);
      response.setTimeout(2000);
      response.end(`timers ${request.socket.remoteAddress} ${request.socket.localAddress}`);
    },
  ],
];

for (const [what, said, heard, handler] of MOVE) {
  test(`after ${what} a connection moves`, async (t) => {
    const served = await http(t, handler);
    await new Client(t, served.port).say(said).heard(heard);
    await moves(served, 'idle');
  });
}

test('one on which nothing was asked yet moves as such', async (t) => {
  const served = await http(t);
  const client = new Client(t, served.port);
  await moves(served, 'fresh');
  assert.equal(client.text, '');
});

const STAY: readonly (readonly [what: string, said: string, handler?: RequestListener])[] = [
  ['a request is being answered', GET, () => {}],
  ['a part of an answer is sent', GET, (_request, response) => response.write('part')],
  ['part of a first head has come', 'GET / HT'],
  ['part of a body has come', 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc'],
  [
    'the answer is complete and the request is not',
    'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc',
    (_request, response) => response.end('early'),
  ],
  ['a chunk is missing', 'POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n'],
  [
    '100-continue waits for its body',
    'POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n',
  ],
  [
    'the first of two is answered',
    GET.repeat(2),
    (request, response) => {
      const { socket } = request as { socket: { asked?: boolean } & Socket };
      if (!seen.has(socket)) response.end('first');
      seen.add(socket);
    },
  ],
  ['an answer lies there unsent', GET, (_request, response) => response.end(Buffer.alloc(50_000_000))],
];
const seen = new WeakSet<object>();

for (const [what, said, handler] of STAY) {
  test(`while ${what}, a connection stays`, async (t) => {
    const served = await http(t, handler);
    const client = new Client(t, served.port).say(said);
    client.socket.pause();
    await until(() => (served.sockets[0]?.bytesRead ?? 0) === said.length, 'all is read');
    // What is asked is answered, and answers are sent, in turns of their own.
    for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
    assert.deepEqual(moving(served), []);
  });
}

test('after an answer, with part of the next head, a connection stays until that is answered', async (t) => {
  const served = await http(t);
  const client = new Client(t, served.port).say(`${GET}GET / HT`);
  await client.heard('got 0');
  assert.deepEqual(moving(served), []);
  client.say('TP/1.1\r\nHost: x\r\n\r\n');
  await moves(served, 'idle');
});

const OWN: readonly (readonly [what: string, handler: (socket: Socket & { user?: string }) => void])[] = [
  ['an own property', (socket) => void (socket.user = 'somebody')],
  ['a symbol', (socket) => void Object.assign(socket, { [Symbol('own')]: 1 })],
  ['a listener', (socket) => socket.on('close', () => {})],
  ['a listener to an event of its own', (socket) => socket.on('own', () => {})],
  ['a timeout', (socket) => socket.setTimeout(1234)],
];

for (const [what, put] of OWN) {
  test(`a connection that the app has put ${what} on stays`, async (t) => {
    const served = await http(t, (request, response) => {
      response.end('done', () => setImmediate(() => put(request.socket)));
      put(request.socket);
    });
    await new Client(t, served.port).say(GET).heard('done');
    for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
    assert.deepEqual(moving(served), []);
  });
}

test('those of a server whose app listens to them stay', async (t) => {
  const served = await http(t);
  served.server.on('connection', () => {});
  await new Client(t, served.port).say(GET).heard('got 0');
  assert.deepEqual(moving(served), []);
});

test('those that were upgraded, that are no HTTP, and that a client has half closed stay', async (t) => {
  const upgrading = await http(t);
  upgrading.server.on('upgrade', (_request: unknown, socket: Socket) => socket.write('upgraded'));
  const upgrade = GET.replace('\r\n\r\n', '\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n');
  await new Client(t, upgrading.port).say(upgrade).heard('upgraded');
  assert.deepEqual(moving(upgrading), []);

  const plain = await serve(
    t,
    createNetServer((socket) => socket.write('hello')),
  );
  await new Client(t, plain.port).heard('hello');
  assert.deepEqual(moving(plain), []);

  const halfOpen = await http(t);
  (halfOpen.server as unknown as { httpAllowHalfOpen: boolean }).httpAllowHalfOpen = true;
  const client = new Client(t, halfOpen.port).say(GET);
  await client.heard('got 0');
  client.socket.end();
  await until(() => halfOpen.sockets[0]?.readable === false, 'the end is read');
  assert.deepEqual(moving(halfOpen), []);
});

test('no more are found than were asked for, and none of a server that is not to be left', async (t) => {
  const served = await http(t);
  for (let each = 0; each < 3; each++) await new Client(t, served.port).say(GET).heard('got 0');
  await until(() => moving(served).length === 3, 'three idle ones');
  assert.equal(idleAmong(served.sockets, () => true, 2).length, 2);
  assert.deepEqual(
    idleAmong(served.sockets, (server) => server !== served.server, 9),
    [],
  );
});

/** Moves the only connection of one server to another one, as between two workers. */
function move(from: Served, to: Served): void {
  const [idle] = idleAmong(from.sockets, () => true, 1);
  const client = idle && takeOut(idle.socket);
  assert.ok(idle && client);
  const { _handle: handle } = to.server as unknown as {
    _handle: { onconnection: (status: number, client: unknown) => void };
  };
  handle.onconnection(0, client);
  const socket = to.sockets.at(-1);
  assert.ok(socket);
  if (idle.moves === 'idle') bringIn(to.server, socket);
}

test('a connection goes on elsewhere, and its first server has one less', async (t) => {
  const [old, fresh] = [await http(t), await http(t, (_request, response) => response.end('from the new one'))];
  const client = new Client(t, old.port).say(GET);
  await client.heard('got 0');
  const [socket] = old.sockets;
  assert.ok(socket);
  const counted = { bytesRead: socket.bytesRead, bytesWritten: socket.bytesWritten };
  let ends = 0;
  old.server.on('close', () => ends++);
  await until(() => moving(old).length === 1, 'an idle connection');
  move(old, fresh);
  assert.equal(await countOf(old.server), 0);
  assert.equal(await countOf(fresh.server), 1);
  assert.deepEqual({ bytesRead: socket.bytesRead, bytesWritten: socket.bytesWritten }, counted);
  assert.equal(ends, 0);
  await client.say(GET).heard('from the new one');
  // And back, before it has asked anything there.
  await until(() => moving(fresh).length === 1, 'an idle connection');
  move(fresh, old);
  move(old, fresh);
  client.text = '';
  await client.say(GET).heard('from the new one');
  assert.equal(client.ended, false);
});

test('an idle one that was moved waits for keepAliveTimeout, not for that of a first request', async (t) => {
  const times = { headersTimeout: 50, requestTimeout: 50, connectionsCheckingInterval: 10 };
  const old = await http(t);
  const fresh = await http(t, echo, { ...times, keepAliveTimeout: 200 });
  const client = new Client(t, old.port).say(GET);
  await client.heard('got 0');
  await until(() => moving(old).length === 1, 'an idle connection');
  move(old, fresh);
  client.text = '';
  await until(() => client.ended, 'its end');
  assert.equal(client.text, '', 'without a word, such as 408');
});

test('one on which nothing was asked has the time of a first request', async (t) => {
  const times = { headersTimeout: 50, requestTimeout: 50, connectionsCheckingInterval: 10 };
  const [old, fresh] = [await http(t), await http(t, echo, times)];
  const client = new Client(t, old.port);
  await moves(old, 'fresh');
  move(old, fresh);
  await client.heard('408');
});

const countOf = (server: NetServer): Promise<number> =>
  new Promise((resolve, reject) => server.getConnections((error, count) => (error ? reject(error) : resolve(count))));

test('a server of another kind of Node is as if nothing was idle', async (t) => {
  const served = await http(t);
  await new Client(t, served.port).say(GET).heard('got 0');
  await moves(served, 'idle');
  const [socket] = served.sockets;
  const parser = socket?.parser as { unconsume?: unknown };
  Object.defineProperty(parser, 'unconsume', { value: undefined, configurable: true });
  assert.deepEqual(moving(served), []);
  delete parser.unconsume;
  assert.ok(served.server instanceof Server);
});
