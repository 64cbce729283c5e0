import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { withMark } from '../../src/bootstrap/session-mark.ts';
import { bind, nameOf, type RawHandle } from '../../src/platform/raw-handle.ts';
import { cookieIn, HeadReader, sessionIn, weigh } from '../../src/platform/sticky.ts';

const slots = [0, 1, 2, 3];
const best = (client: string, among: readonly number[]): number =>
  among.reduce((a, b) => (weigh(client, a) >= weigh(client, b) ? a : b));
const clients = Array.from({ length: 4000 }, (_, index) => `10.0.${index >> 8}.${index & 255}`);

test('clients are spread evenly over the slots', () => {
  const counts = slots.map((slot) => clients.filter((client) => best(client, slots) === slot).length);
  for (const count of counts) assert.ok(count > 850 && count < 1150, counts.join(' '));
});

test('when a slot goes, only its own clients move', () => {
  const rest = slots.filter((slot) => slot !== 2);
  for (const client of clients) {
    const before = best(client, slots);
    if (before !== 2) assert.equal(best(client, rest), before);
  }
});

test('a cookie is found among others', () => {
  const head = 'GET / HTTP/1.1\r\nHost: x\r\nCookie: a=1; io=abc=d ; b=2\r\n\r\n';
  assert.equal(cookieIn(head, 'io'), 'abc=d');
  assert.equal(cookieIn(head, 'i'), null);
  assert.equal(cookieIn('GET / HTTP/1.1\r\n\r\n', 'io'), null);
});

test('a session is marked where its cookie is set, and the mark is found', () => {
  const mark = { cookie: 'io', slot: 2 };
  const head = 'HTTP/1.1 200 OK\r\nset-cookie: a=io=1\r\nSet-Cookie: io=abc; Path=/x; Secure\r\nDate: now\r\n\r\n';
  const marked = head.replace('Secure\r\n', 'Secure\r\nSet-Cookie: io-upkeep=2; Path=/x; Secure\r\n');
  assert.equal(withMark(head, mark), marked);
  for (const other of ['HTTP/1.1 200 OK\r\n\r\n', 'HTTP/1.1 200 OK\r\nSet-Cookie: radio=1\r\nX-Is: io=2\r\n\r\n']) {
    assert.equal(withMark(other, mark), other);
  }
  const request = (cookies: string): string => `GET / HTTP/1.1\r\nCookie: ${cookies}\r\n\r\n`;
  assert.deepEqual(sessionIn(request('io=abc; io-upkeep=2'), 'io'), { value: 'abc', marked: 2 });
  assert.deepEqual(sessionIn(request('io=abc; io-upkeep=x2'), 'io'), { value: 'abc', marked: null });
  assert.deepEqual(sessionIn(request('io-upkeep=2'), 'io'), { value: null, marked: null });
});

const COOKIE_HEAD = 'GET / HTTP/1.1\r\nCookie: io=abc\r\n\r\n';

/** Connections as the supervisor accepts them, each with its client. */
async function accepting(t: TestContext): Promise<() => Promise<{ client: Socket; raw: RawHandle }>> {
  const handle = bind({ address: '127.0.0.1', port: 0, addressType: 4, flags: 0 });
  assert.ok(typeof handle !== 'number');
  const raws: RawHandle[] = [];
  const waiting: ((raw: RawHandle) => void)[] = [];
  const clients: Socket[] = [];
  handle.onconnection = (_status, raw) => {
    if (!raw) return;
    raws.push(raw);
    waiting.shift()?.(raw);
  };
  assert.equal(handle.listen(64), 0);
  t.after(() => {
    for (const client of clients) client.destroy();
    for (const raw of [handle, ...raws]) raw.close();
  });
  return async () => {
    const client = connect(Number(nameOf(handle)['port']), '127.0.0.1');
    clients.push(client);
    client.on('error', () => {});
    const raw = await new Promise<RawHandle>((resolve) => void waiting.push(resolve));
    return { client, raw };
  };
}

test('a head that comes in parts is complete with its last byte', async (t) => {
  const accept = await accepting(t);
  for (const parts of [[COOKIE_HEAD], [COOKIE_HEAD.slice(0, -1), '\n'], COOKIE_HEAD.split('')]) {
    const { client, raw } = await accept();
    client.setNoDelay(true);
    const read = new HeadReader().read(raw, 'io');
    for (const part of parts) await new Promise((resolve) => client.write(part, () => setImmediate(resolve)));
    const { head, value } = await read;
    assert.equal(value, 'abc');
    assert.equal(Buffer.from(head, 'base64').toString(), COOKIE_HEAD);
  }
});

test('of too many that send no head, the one that is read for longest goes on as it is', async (t) => {
  const accept = await accepting(t);
  const reader = new HeadReader(2);
  const silent = await accept();
  const first = reader.read(silent.raw, 'io');
  const half = await accept();
  await new Promise((resolve) => half.client.write('GET', resolve));
  const second = reader.read(half.raw, 'io');
  const honest = await accept();
  const third = reader.read(honest.raw, 'io');
  assert.deepEqual(await first, { head: '', value: null, marked: null });
  honest.client.write(COOKIE_HEAD);
  assert.equal((await third).value, 'abc');
  half.client.end();
  assert.equal(Buffer.from((await second).head, 'base64').toString(), 'GET');
});
