import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, Socket } from 'node:net';
import { test } from 'node:test';
import { LoopbackPairs, type Pair } from '../../src/platform/loopback-pairs.ts';

/** Both ends as sockets. */
const endsOf = ({ near, far }: Pair): readonly [Socket, Socket] => [
  near,
  new Socket({ handle: far } as ConstructorParameters<typeof Socket>[0]),
];

test('what is written into one end comes out of the other, whichever of several it is', async (t) => {
  const pairs = new LoopbackPairs();
  t.after(() => pairs.close());
  const ends = (await Promise.all([1, 2, 3].map(() => pairs.connect()))).map(endsOf);
  for (const [index, [near, far]] of ends.entries()) {
    near.write(`hello ${index}`);
    const [chunk] = (await once(far, 'data')) as [Buffer];
    assert.equal(String(chunk), `hello ${index}`);
    near.destroy();
    far.destroy();
  }
});

test('a stranger who connects is turned away at once, and gets nobody’s place', { timeout: 60_000 }, async (t) => {
  const pairs = new LoopbackPairs();
  t.after(() => pairs.close());
  const first = endsOf(await pairs.connect());
  const port = first[1].localPort ?? 0;
  const strangers = Array.from({ length: 20 }, () => connect(port, '127.0.0.1').on('error', () => {}));
  // With the number that the next pair may well get, from an address that only looks like it.
  const next = (first[1].remotePort ?? 0) + 2;
  if (process.platform === 'linux')
    for (let localPort = next; localPort < next + 60; localPort += 2)
      strangers.push(connect({ port, host: '127.0.0.1', localAddress: '127.0.0.2', localPort }).on('error', () => {}));
  const [near, far] = endsOf(await pairs.connect());
  await Promise.all(strangers.filter(({ closed }) => !closed).map((socket) => once(socket.resume(), 'close')));
  near.write('mine');
  const [chunk] = (await once(far, 'data')) as [Buffer];
  assert.equal(String(chunk), 'mine');
  for (const socket of [...first, near, far]) socket.destroy();
});
