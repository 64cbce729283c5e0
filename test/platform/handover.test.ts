import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Handover, type Listener, type Member, type Move, type SocketWorker } from '../../src/platform/handover.ts';
import type { RawHandle } from '../../src/platform/raw-handle.ts';
import type { ToSockets } from '../../src/protocol/ipc.ts';
import { until } from '../e2e/until.ts';

class FakeWorker implements SocketWorker {
  readonly held = false;
  readonly awaited = false;
  readonly user = { uid: null, gid: null };
  readonly told: ToSockets[] = [];
  readonly slot: number;

  constructor(slot: number) {
    this.slot = slot;
  }

  readonly send = (body: ToSockets): void => {
    this.told.push(body);
  };

  /** The connections that it was told of in this way. */
  heard(kind: 'offer' | 'take'): number[] {
    return this.told.flatMap((body) => (body.kind === kind ? body.connection : []));
  }

  heardOfPasses(kind: 'passed' | 'kept'): number[] {
    return this.told.flatMap((body) => (body.kind === kind ? body.pass : []));
  }
}

class FakeClient implements RawHandle {
  closed = false;
  readonly listen = (): number => 0;
  readonly close = (): void => {
    this.closed = true;
  };
}

interface Load {
  readonly worker: FakeWorker;
  readonly open: number;
}

function listenerOf(...loads: readonly Load[]): Listener {
  const members = loads.map(
    ({ worker, open }): Member => ({ worker, open, asked: new Set(), silent: false, inTransit: 0, held: false }),
  );
  return {
    key: '* 80 4 0 0',
    query: { address: null, port: 80, addressType: 4, flags: 0, backlog: 511, index: 0 },
    way: 'shared',
    path: null,
    unwatch: () => {},
    user: { uid: null, gid: null },
    handles: new Map(),
    members: new Map(members.map((member) => [member.worker, member])),
    adopters: new Map(),
    waiting: [],
    toldMean: 0,
  };
}

const memberOf = (listener: Listener, worker: FakeWorker): Member => {
  const member = listener.members.get(worker);
  assert.ok(member);
  return member;
};

/** An old worker in place 0, which is about to end, its successor, and one in place 1 with fewer connections. */
function moving(what: Partial<Move> = {}) {
  const giver = new FakeWorker(0);
  const heir = new FakeWorker(0);
  const other = new FakeWorker(1);
  const listener = listenerOf({ worker: other, open: 1 }, { worker: heir, open: 5 });
  const handover = new Handover();
  const client = new FakeClient();
  const claim = (worker: FakeWorker): void => {
    for (const id of worker.heard('offer')) handover.claim([memberOf(listener, worker)], id);
  };
  handover.move(listener, giver, client, { pass: 7, moves: 'idle', slot: null, ...what });
  return { giver, heir, other, listener, handover, client, claim };
}

test('a connection moves to the worker that has the place of its old one', () => {
  const { giver, heir, other, handover, client, claim } = moving();
  assert.deepEqual([heir.heard('offer').length, other.heard('offer').length], [1, 0]);
  claim(heir);
  const [id = 0] = heir.heard('take');
  assert.deepEqual([client.closed, giver.heardOfPasses('passed')], [false, []]);
  handover.took(heir, id);
  assert.deepEqual([client.closed, giver.heardOfPasses('passed')], [true, [7]]);
  assert.equal(handover.count, 0);
});

test('when that one dies with it in hand, another one gets it', () => {
  const { giver, heir, other, listener, handover, client, claim } = moving();
  claim(heir);
  listener.members.delete(heir);
  handover.gone(heir);
  assert.deepEqual([client.closed, other.heard('offer').length], [false, 1]);
  claim(other);
  const [id = 0] = other.heard('take');
  handover.took(other, id);
  assert.deepEqual(giver.heardOfPasses('passed'), [7]);
});

test('it also goes on when the old worker dies meanwhile', () => {
  const { giver, heir, handover, client, claim } = moving();
  handover.gone(giver);
  claim(heir);
  assert.equal(client.closed, false);
  handover.took(heir, heir.heard('take')[0] ?? -1);
  assert.equal(handover.count, 0);
});

test('a worker that does not want it is not asked again, and when nobody does, it is kept', () => {
  const { giver, heir, other, handover, client, claim } = moving();
  for (const worker of [heir, other]) {
    claim(worker);
    handover.declined(worker, worker.heard('take')[0] ?? -1);
  }
  assert.deepEqual(giver.heardOfPasses('kept'), [7]);
  assert.equal(client.closed, true, 'the copy; the old worker has its own');
  assert.deepEqual([heir.heard('offer').length, other.heard('offer').length, handover.count], [1, 1, 0]);
});

test('when nobody answers, it is kept; with its old worker gone somebody gets it all the same', async () => {
  for (const giverLives of [true, false]) {
    const { giver, other, handover, client } = moving();
    if (!giverLives) handover.gone(giver);
    if (giverLives) {
      await until(() => giver.heardOfPasses('kept').includes(7), 'word that it is kept');
    } else {
      await until(() => other.heard('take').length === 1, 'it to be sent');
      handover.took(other, other.heard('take')[0] ?? -1);
    }
    assert.deepEqual([client.closed, handover.count], [true, 0]);
  }
});

test('where its client belongs to one place, it goes there or is kept', () => {
  const there = moving({ slot: 1 });
  assert.deepEqual([there.heir.heard('offer').length, there.other.heard('offer').length], [0, 1]);
  there.claim(there.other);
  there.handover.took(there.other, there.other.heard('take')[0] ?? -1);
  const nowhere = moving({ slot: 2 });
  assert.deepEqual(nowhere.giver.heardOfPasses('kept'), [7]);
});

test('where nobody listens any more, it is kept', () => {
  const handover = new Handover();
  const giver = new FakeWorker(0);
  const clients = [new FakeClient(), new FakeClient()] as const;
  handover.move(undefined, giver, clients[0], { pass: 1, moves: 'idle', slot: null });
  handover.move(listenerOf(), giver, clients[1], { pass: 2, moves: 'fresh', slot: null });
  assert.deepEqual(giver.heardOfPasses('kept'), [1, 2]);
  assert.deepEqual([clients[0].closed, clients[1].closed], [true, true]);
});

test('those that move are offered, however many a worker was asked to take before', () => {
  const { listener, handover, giver, heir } = moving();
  for (let pass = 100; pass < 140; pass++)
    handover.move(listener, giver, new FakeClient(), { pass, moves: 'idle', slot: null });
  assert.equal(heir.heard('offer').length, 41);
  for (const id of heir.heard('offer')) {
    handover.claim([memberOf(listener, heir)], id);
    handover.took(heir, id);
  }
  assert.equal(handover.count, 0);
});

test('one that did not come goes on: its giver keeps it, or another worker gets it', async () => {
  const { giver, heir, other, handover, client, claim } = moving();
  handover.askedAfter(giver, 7);
  assert.deepEqual(giver.heardOfPasses('kept'), [], 'it is here');
  handover.askedAfter(giver, 8);
  assert.deepEqual(giver.heardOfPasses('kept'), [8]);

  claim(heir);
  const [id = 0] = heir.heard('take');
  await until(() => heir.told.some((body) => body.kind === 'ask-after' && body.connection === id), 'the question');
  handover.declined(heir, id);
  claim(other);
  assert.deepEqual(other.heard('take'), [id]);
  handover.declined(heir, id);
  assert.equal(client.closed, false, 'a late answer changes nothing');
  handover.took(other, id);
  assert.deepEqual([client.closed, giver.heardOfPasses('passed')], [true, [7]]);
});

test('one that its only worker cannot take is closed in the end', () => {
  const worker = new FakeWorker(0);
  const listener = listenerOf({ worker, open: 0 });
  const handover = new Handover();
  const client = new FakeClient();
  handover.wait(handover.hold(listener, client, {}));
  for (const attempt of [1, 2]) {
    assert.equal(client.closed, false);
    assert.equal(worker.heard('take').length, attempt);
    handover.declined(worker, worker.heard('take')[0] ?? -1);
  }
  assert.deepEqual([client.closed, handover.count], [true, 0]);
});

test('one that was asked, said yes, and then does not want it after all, as its drain has begun, costs no connection', () => {
  const [busy, leaving, other] = [new FakeWorker(0), new FakeWorker(1), new FakeWorker(2)];
  const listener = listenerOf({ worker: busy, open: 9 }, { worker: leaving, open: 0 }, { worker: other, open: 1 });
  const handover = new Handover();
  const client = new FakeClient();
  handover.passOn(listener, busy, client, 3);
  const [id = 0] = leaving.heard('offer');
  handover.claim([memberOf(listener, leaving)], id);
  listener.members.delete(leaving);
  handover.declined(leaving, id);
  assert.equal(client.closed, false);
  assert.deepEqual([...busy.heard('take'), ...other.heard('take'), ...other.heard('offer')], [id]);
});
