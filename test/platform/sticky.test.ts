import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cookieIn, weigh } from '../../src/platform/sticky.ts';

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
