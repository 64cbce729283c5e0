import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Forward, forwardsOf, journal, syslogTarget, type Target } from '../../src/logs/forward.ts';
import { appSpec } from '../fakes/app-spec.ts';
import { tempFolder } from '../fakes/temp-folder.ts';

const origin = (stream: 'out' | 'err' = 'out') => ({ spec: appSpec({ name: 'my app' }), id: 3, stream }) as const;

/** A server, and all that it has been sent. */
async function server(
  t: TestContext,
  where: string | number,
): Promise<{ text: () => string; port: number; server: Server }> {
  let text = '';
  const sockets = new Set<Socket>();
  const made = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.setEncoding('utf8').on('data', (chunk) => {
      text += chunk;
    });
  });
  made.listen(where);
  await once(made, 'listening');
  t.after(() => {
    made.close();
    for (const socket of sockets) socket.destroy();
  });
  const address = made.address();
  return { text: () => text, port: typeof address === 'object' ? (address?.port ?? 0) : 0, server: made };
}

function forward(t: TestContext, target: Target): Forward {
  const made = new Forward(target, Date.now);
  t.after(() => made.close());
  return made;
}

async function until(holds: () => boolean): Promise<void> {
  for (const deadline = Date.now() + 10_000; !holds() && Date.now() < deadline; ) await sleep(5);
  assert.ok(holds());
}

describe('the journal', () => {
  test('gets a header, then whole lines', async (t) => {
    const path = join(tempFolder(t), 'stdout');
    const { text, server: journald } = await server(t, path);
    // As journald does.
    journald.on('connection', (socket: Socket) => socket.end());
    const out = forward(t, journal(origin('err'), path));
    await once(journald, 'connection');
    await sleep(20);
    out.write(Buffer.from('a\nhalf '));
    out.write(Buffer.from('line\nlast'));
    out.flush();
    out.note('something');
    const expected = 'my app-3\n\n3\n1\n0\n0\n0\na\nhalf line\nlast\nupkeep: something\n';
    await until(() => text().length >= expected.length);
    assert.equal(text(), expected);
  });

  test('that is not there loses lines, which are counted and told once it is', async (t) => {
    const path = join(tempFolder(t), 'stdout');
    const out = forward(t, journal(origin(), path));
    let told = 0;
    out.onLoss = () => told++;
    await until(() => out.losingBecause !== null);
    assert.match(out.losingBecause ?? '', /^journald: /);
    await until(() => {
      out.write(Buffer.from('lost\n'));
      return out.lostLines > 0;
    });
    const { text } = await server(t, path);
    await until(() => {
      out.write(Buffer.from('kept\n'));
      return text().includes('kept\n');
    });
    assert.match(text(), /^my app-3\n\n6\n1\n0\n0\n0\nupkeep: \d+ lines? \(\d+ bytes\) were lost here, .*\nkept\n/);
    assert.equal(out.losingBecause, null);
    assert.ok(told >= 2);
  });
});

describe('syslog', () => {
  const MESSAGE = /^<30>1 \d{4}-\d\d-\d\dT\S+Z \S+ my_app 3 out - /;

  test('over UDP: one message a line', async (t) => {
    const socket = createSocket('udp4');
    const messages: string[] = [];
    socket.on('message', (message) => messages.push(message.toString()));
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    t.after(() => socket.close());
    const out = forward(t, syslogTarget(origin(), `udp://127.0.0.1:${socket.address().port}`));
    out.write(Buffer.from(`a\nb\n${'x'.repeat(20_000)}\n`));
    await until(() => messages.length === 3);
    for (const message of messages) assert.match(message, MESSAGE);
    assert.deepEqual(
      messages.map((message) => message.replace(MESSAGE, '')),
      ['a', 'b', 'x'.repeat(8192)],
    );
  });

  test('over TCP: each message with its length before it', async (t) => {
    const { text, port } = await server(t, 0);
    const out = forward(t, syslogTarget(origin(), `tcp://127.0.0.1:${port}`));
    out.write(Buffer.from('grün\nb\n'));
    await until(() => text().endsWith('b'));
    const bytes = Buffer.from(text());
    const messages: string[] = [];
    for (let at = 0; at < bytes.length; ) {
      const space = bytes.indexOf(' ', at);
      const end = space + 1 + Number(bytes.toString('latin1', at, space));
      messages.push(bytes.toString('utf8', space + 1, end));
      at = end;
    }
    for (const message of messages) assert.match(message, MESSAGE);
    assert.deepEqual(
      messages.map((message) => message.replace(MESSAGE, '')),
      ['grün', 'b'],
    );
  });

  test('that takes nothing never makes the app wait: lines are dropped and counted', async (t) => {
    const stuck = createServer({ pauseOnConnect: true });
    stuck.listen(0);
    await once(stuck, 'listening');
    const address = stuck.address();
    const out = forward(
      t,
      syslogTarget(origin(), `tcp://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`),
    );
    const [socket] = (await once(stuck, 'connection')) as [Socket];
    t.after(() => {
      socket.destroy();
      stuck.close();
    });
    const lines = Buffer.from(`${'x'.repeat(1000)}\n`.repeat(60));
    for (let chunk = 0; chunk < 1000; chunk++) out.write(lines);
    assert.ok(out.lostLines > 30_000);
    assert.equal(out.losingBecause, 'syslog: it takes nothing');
  });
});

test('there are none unless asked for', () => {
  assert.deepEqual(forwardsOf(origin()), []);
});
