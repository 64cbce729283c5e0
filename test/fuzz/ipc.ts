import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mock } from 'node:test';
import type { RawHandle } from '../../src/platform/raw-handle.ts';
import { SharedSockets } from '../../src/platform/shared-sockets.ts';
import { watchChild } from '../../src/platform/watch-child.ts';
import { IPC_CMD } from '../../src/protocol/ipc.ts';
import { parseFromApp } from '../../src/protocol/ipc-schema.ts';
import type { Launcher, Ports } from '../../src/supervisor/ports.ts';
import { Supervisor } from '../../src/supervisor/supervisor.ts';
import { appRecord, appSpec } from '../fakes/app-spec.ts';
import { FakePorts, turn } from '../fakes/ports.ts';
import { corpusOf, type Target } from './campaign.ts';
import { mutateValue } from './mutations.ts';
import type { Random } from './random.ts';

/** What an app sends, one after the other; with a handle, where it is one of those numbers. */
export interface Conversation {
  readonly messages: readonly unknown[];
  readonly withHandle: readonly number[];
}

const MODES = ['auto', 'rr', 'kernel', 'sticky'] as const;

/** An app that is hostile to its supervisor, by all that its channel carries. */
export function ipcTarget(): Target<Conversation> & { readonly end: () => void } {
  const corpus = corpusOf('ipc').map(({ bytes }): Conversation => {
    const messages = JSON.parse(bytes.toString('utf8')) as unknown[];
    const carries = (message: unknown): boolean => /pass-on|have-socket/.test(JSON.stringify(message));
    return { messages, withHandle: [...messages.keys()].filter((at) => carries(messages[at])) };
  });
  // Sockets of a relative path are made where this process is.
  const [before, folder] = [process.cwd(), mkdtempSync(join(tmpdir(), 'uk-fuzz-'))];
  process.chdir(folder);
  return {
    name: 'ipc',
    corpus,
    mutate: (random, conversation) => mutateConversation(random, conversation, corpus),
    check: async (conversation, random) => {
      // What nobody waits for any more would be kept with its timer.
      mock.timers.enable({ apis: ['setTimeout'] });
      try {
        await check(conversation, random);
      } finally {
        mock.timers.reset();
      }
    },
    end: () => {
      process.chdir(before);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function check({ messages, withHandle }: Conversation, random: Random): Promise<void> {
  const mode = random.pick(MODES);
  const cluster = random.chance(0.8);
  const sockets = new SharedSockets(() => ({ mode, cookie: null }));
  const children: FakeChild[] = [];
  const launcher: Launcher = {
    adopt: () => null,
    prepare: () => null,
    quiesce: async () => {},
    settled: () => {},
    launch: ({ slot }, on) => {
      const child = new FakeChild();
      children.push(child);
      const shared = { sockets, slot: slot.index, held: random.chance(0.3), user: { uid: null, gid: null } };
      const running = watchChild(
        child as unknown as ChildProcess,
        { ownGroup: false, attachTo: null, ...(cluster ? { shared } : {}) },
        on,
      );
      on({ kind: 'spawned', run: { pid: 2 ** 30 + children.length, startTime: '1', token: 'secret' } });
      // Its tree is gone with it.
      return { ...running, awaitTree: () => on({ kind: 'tree-gone' }) };
    },
  };
  const ports: Ports = Object.assign(new FakePorts(), { launcher });
  const supervisor = new Supervisor(ports, () => {});
  const record = appRecord(
    appSpec({ instances: 2, mode: cluster ? 'cluster' : 'fork', ready: { waitReady: random.chance(0.3) } }),
  );
  const starting = supervisor.run({ kind: 'start', apps: [record], ids: [0, 1] });
  await turn();

  const handles: FakeHandle[] = [];
  for (const [at, body] of messages.entries()) {
    const parsed = parseFromApp(body);
    if (parsed) assert.ok(JSON.stringify(parsed).length < 20_000, 'what is taken is bounded');
    const child = random.pick(children);
    if (withHandle.includes(at)) {
      const handle = new FakeHandle();
      handles.push(handle);
      child.emit('internalMessage', { cmd: 'NODE_HANDLE', type: 'net.Native', msg: { cmd: IPC_CMD, body } }, handle);
    } else {
      child.emit('internalMessage', { cmd: IPC_CMD, body });
    }
    child.emit('message', body);
    if (typeof body === 'object' && body !== null) child.emit('internalMessage', body);
    if (random.chance(0.1)) await turn();
  }
  await turn();
  assert.ok(JSON.stringify(supervisor.snapshot()).length < 200_000, 'what is told of it is bounded');
  void supervisor.shutdown();
  for (const child of children) child.end();
  await turn();
  sockets.closeUnused();
  void starting;
  // What waits for a worker, or for its answer, waits for so long. A timer that is set by one runs at the next tick.
  for (let minutes = 0; minutes < 3; minutes++) mock.timers.tick(60_000);
  const open = handles.filter(({ closed }) => !closed).length;
  assert.equal(open, 0, 'handles stay open');
}

function mutateConversation(
  random: Random,
  { messages, withHandle }: Conversation,
  corpus: readonly Conversation[],
): Conversation {
  const mutated = random.chance(0.8) ? mutateValue(random, messages) : messages;
  const list = Array.isArray(mutated) ? [...(mutated as unknown[])] : [mutated];
  if (random.chance(0.3)) list.push(...random.pick(corpus).messages);
  if (random.chance(0.3)) list.sort(() => random.next() - 0.5);
  if (list.length > 0 && random.chance(0.02)) list.push(...Array.from({ length: 500 }, () => random.pick(list)));
  const more = random.chance(0.5) ? [...list.keys()].filter(() => random.chance(0.3)) : withHandle;
  return { messages: list, withHandle: more };
}

/** A real one, that is never spawned, would be kept by Node for ever. */
class FakeChild extends EventEmitter {
  readonly spawnfile = 'node';
  connected = true;
  readonly send = (): boolean => true;
  readonly kill = (): boolean => true;

  constructor() {
    super();
    // As Node does with what comes with a handle.
    this.on('internalMessage', ({ cmd, msg }: { cmd?: unknown; msg?: { cmd?: unknown } }, handle: FakeHandle) => {
      if (cmd === 'NODE_HANDLE') this.emit('internalMessage', msg, handle);
    });
  }

  end(): void {
    this.connected = false;
    this.emit('disconnect');
    this.emit('exit', 0, null);
  }
}

class FakeHandle implements RawHandle {
  closed = false;
  onconnection = null;
  readonly listen = (): number => 0;
  readonly close = (): void => {
    this.closed = true;
  };
}
