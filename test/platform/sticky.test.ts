import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withMark } from '../../src/bootstrap/session-mark.ts';
import { cookieIn, sessionIn, weigh } from '../../src/platform/sticky.ts';

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
