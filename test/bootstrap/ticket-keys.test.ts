import assert from 'node:assert/strict';
import { Server } from 'node:net';
import { before, test } from 'node:test';
import { type TicketKeys, ticketKeys } from '../../src/bootstrap/ticket-keys.ts';

const ours = Buffer.alloc(48, 'u');
const next = Buffer.alloc(48, 'n');
const own = Buffer.alloc(48, 'a');
let keys: TicketKeys;
let tls: typeof import('node:tls');

before(async () => {
  // Before the module of TLS is loaded, as in an app.
  keys = ticketKeys(Server);
  tls = await import('node:tls');
});

test('a server of TLS has those that it is given, and the next, also with other certificates', () => {
  const server = tls.createServer({});
  keys.apply(server, ours.toString('base64'));
  assert.deepEqual(server.getTicketKeys(), ours);
  server.setSecureContext({});
  assert.deepEqual(server.getTicketKeys(), ours);
  keys.apply(server, next.toString('base64'));
  assert.deepEqual(server.getTicketKeys(), next);
});

test('https and HTTP/2 are of that kind', async () => {
  const https = await import('node:https');
  const http2 = await import('node:http2');
  for (const server of [https.createServer({}), http2.createSecureServer({})]) {
    keys.apply(server, ours.toString('base64'));
    assert.deepEqual((server as { getTicketKeys?: () => Buffer }).getTicketKeys?.(), ours);
  }
});

test('those of the app win, whenever it gives them', () => {
  const byOption = tls.createServer({ ticketKeys: own });
  const before = tls.createServer({});
  before.setTicketKeys(own);
  const after = tls.createServer({});
  keys.apply(after, ours.toString('base64'));
  after.setTicketKeys(own);
  for (const server of [byOption, before, after]) {
    keys.apply(server, ours.toString('base64'));
    assert.deepEqual(server.getTicketKeys(), own);
  }
});

test('other servers have none', () => {
  const server = new Server();
  keys.apply(server, ours.toString('base64'));
  assert.equal((server as { setTicketKeys?: unknown }).setTicketKeys, undefined);
});
