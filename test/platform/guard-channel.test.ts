import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { describe, test } from 'node:test';
import { guardChannel } from '../../src/platform/guard-channel.ts';
import { IPC_CMD } from '../../src/protocol/ipc.ts';

/** One end of a channel, what came through it, and what was answered. */
function guardedChild({ handleQueue = null as unknown[] | null } = {}) {
  const child = Object.assign(new EventEmitter(), {
    connected: true,
    pid: 1,
    _handleQueue: handleQueue,
    sent: [] as unknown[],
    send: (message: unknown) => child.sent.push(message) > 0,
    came: [] as unknown[],
  });
  for (const event of ['message', 'internalMessage']) {
    child.on(event, (message: unknown, handle: unknown) => child.came.push([event, message, Boolean(handle)]));
  }
  guardChannel(child as unknown as ChildProcess);
  return child;
}

function handle() {
  const it = { closed: false, close: () => void (it.closed = true) };
  return it;
}

const ours = (kind: string) => ({ cmd: IPC_CMD, body: { kind } });
const withHandle = (msg: unknown, type = 'net.Native') => ({ cmd: 'NODE_HANDLE', type, msg });

describe('what an app sends', () => {
  test('comes through, if it is its own or ours', () => {
    const child = guardedChild();
    child.emit('message', 'ready');
    child.emit('internalMessage', ours('main-ran'));
    child.emit('exit', 0, null);
    assert.deepEqual(child.came, [
      ['message', 'ready', false],
      ['internalMessage', ours('main-ran'), false],
    ]);
  });

  test('may bring a handle where one is expected', () => {
    const child = guardedChild();
    for (const kind of ['pass-on', 'have-socket']) {
      const connection = handle();
      child.emit('internalMessage', withHandle(ours(kind)), connection);
      assert.equal(connection.closed, false);
    }
    assert.deepEqual(child.came.length, 2);
  });

  for (const [what, message, through] of [
    ['a word of its own', 'here', ['message', 'here', false]],
    ['a word of ours without one', ours('pong'), ['internalMessage', ours('pong'), false]],
    ['a word that is nobody’s', { cmd: 'NODE_OTHER' }, null],
    ['another one within', withHandle('x', 'constructor'), null],
    ['nothing', undefined, ['message', undefined, false]],
  ] as const) {
    test(`brings no handle with ${what}, and is told that it has arrived`, () => {
      const child = guardedChild();
      const connection = handle();
      child.emit('internalMessage', withHandle(message), connection);
      assert.equal(connection.closed, true);
      assert.deepEqual(child.sent, [{ cmd: 'NODE_HANDLE_ACK' }]);
      assert.deepEqual(child.came, through ? [through] : []);
    });
  }

  test('brings nothing but raw handles', () => {
    for (const type of ['net.Socket', 'net.Server', 'dgram.Socket', 'constructor', '__proto__']) {
      const child = guardedChild();
      const connection = handle();
      child.emit('internalMessage', withHandle(ours('pass-on'), type), connection);
      assert.equal(connection.closed, true, type);
    }
  });

  test('tells the arrival only of what was sent', () => {
    for (const cmd of ['NODE_HANDLE_ACK', 'NODE_HANDLE_NACK']) {
      const idle = guardedChild();
      idle.emit('internalMessage', { cmd });
      assert.deepEqual(idle.came, []);
      const sending = guardedChild({ handleQueue: [] });
      sending.emit('internalMessage', { cmd });
      assert.equal(sending.came.length, 1);
    }
  });

  test("asks Node's cluster module for datagram sockets only", () => {
    const query = { cmd: 'NODE_CLUSTER', act: 'queryServer', seq: 7, address: null, port: 53, addressType: 'udp4' };
    const allowed = guardedChild();
    for (const message of [query, { ...query, fd: -1 }, { ...query, addressType: 'udp6', address: '::1' }]) {
      allowed.emit('internalMessage', message);
    }
    for (const act of ['online', 'close', 'exitedAfterDisconnect', 'listening']) {
      allowed.emit('internalMessage', { cmd: 'NODE_CLUSTER', act, address: 'localhost', port: 53 });
    }
    allowed.emit('internalMessage', { cmd: 'NODE_CLUSTER', ack: 3 });
    assert.deepEqual([allowed.came.length, allowed.sent], [8, []]);
    for (const message of [
      { ...query, fd: 5 },
      { ...query, addressType: 4 },
      { ...query, addressType: -1, address: '/etc/x', port: -1 },
      { ...query, address: {} },
      { ...query, port: 'x' },
      { ...query, act: 'constructor' },
      { ...query, act: '__proto__' },
      { ...query, act: 'listening', address: 1 },
    ]) {
      const child = guardedChild();
      child.emit('internalMessage', message);
      assert.deepEqual(child.came, [], JSON.stringify(message));
      assert.deepEqual(child.sent, [{ cmd: 'NODE_CLUSTER', ack: 7, errno: -22 }]);
    }
  });
});
