import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { RawHandle } from '../../src/platform/raw-handle.ts';
import { SharedSockets } from '../../src/platform/shared-sockets.ts';
import type { ToSockets } from '../../src/protocol/ipc.ts';

const ROOT = { uid: null, gid: null };
const NOBODY = { uid: 65_534, gid: 65_534 };
const LOW_PORT = 987;
const EACCES = -13;

/** A worker, and what was answered to it. */
function worker(sockets: SharedSockets, user = ROOT as { uid: number | null; gid: number | null }) {
  const answers: { message: ToSockets; handle: RawHandle | undefined }[] = [];
  const end = sockets.attach({
    slot: 0,
    held: false,
    awaited: false,
    user,
    send: (message, handle) => void answers.push({ message, handle }),
  });
  let request = 0;
  const open = (query: { port: number; flags?: number }): number => {
    const asked = { address: '127.0.0.1', addressType: 4, flags: 0, backlog: 8, index: 0, ...query };
    end.handle({ kind: 'open-socket', request: ++request, ...asked }, undefined);
    const answer = answers.find(({ message }) => message.kind === 'socket' && message.request === request)?.message;
    assert.ok(answer?.kind === 'socket');
    return answer.errno;
  };
  return { ...end, answers, open };
}

test('a worker gets a socket with the flags of listen() only', (t) => {
  const sockets = new SharedSockets(() => ({ mode: 'auto', cookie: null }));
  const app = worker(sockets);
  t.after(() => {
    app.gone();
    sockets.closeUnused();
  });
  for (const flags of [2, 3, 4, 6, 8, 2 ** 31]) assert.equal(app.open({ port: 0, flags }), -22, `flags ${flags}`);
  assert.equal(app.open({ port: 0 }), 0);
});

const lowPortsAreRoots = process.platform === 'linux' && process.getuid?.() === 0 && unprivilegedFrom() > LOW_PORT;

test('a port of root is given to no app of another user, also when root had it before', {
  skip: !lowPortsAreRoots,
}, (t) => {
  const sockets = new SharedSockets(() => ({ mode: 'auto', cookie: null }));
  const before = worker(sockets, NOBODY);
  assert.equal(before.open({ port: LOW_PORT }), EACCES);
  const root = worker(sockets, ROOT);
  assert.equal(root.open({ port: LOW_PORT }), 0);
  assert.equal(root.open({ port: 0 }), 0);
  const after = worker(sockets, NOBODY);
  assert.equal(after.open({ port: LOW_PORT }), EACCES);
  assert.equal(after.open({ port: 0 }), 0, 'one that it might bind itself');
  t.after(() => {
    for (const each of [before, root, after]) each.gone();
    sockets.closeUnused();
  });
});

function unprivilegedFrom(): number {
  try {
    return Number(readFileSync('/proc/sys/net/ipv4/ip_unprivileged_port_start', 'utf8'));
  } catch {
    return 1024;
  }
}
