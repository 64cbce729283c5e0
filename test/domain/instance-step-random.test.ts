import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StopHow } from '../../src/domain/drain-times.ts';
import {
  type Instance,
  type InstanceEffect,
  type InstanceEvent,
  type InstancePolicy,
  instancePolicy,
  newInstance,
  pidOf,
  type Timer,
} from '../../src/domain/instance.ts';
import { step } from '../../src/domain/instance-step.ts';
import type { Exit } from '../../src/domain/restart-policy.ts';
import { appSpec } from '../fakes/app-spec.ts';
import * as fc from '../fakes/fast-check.ts';

const policies: fc.Arbitrary<InstancePolicy> = fc
  .record({
    mode: fc.constantFrom('fork' as const, 'cluster' as const),
    runtime: fc.constantFrom('node' as const, 'other' as const),
    autorestart: fc.boolean(),
    maxRestarts: fc.integer({ min: 1, max: 4 }),
    delayMs: fc.constantFrom(0, 100),
    backoffMs: fc.constantFrom(0, 100),
    stopExitCodes: fc.constantFrom([], [0], [3]),
    shutdownWithMessage: fc.boolean(),
    treekill: fc.boolean(),
    waitReady: fc.boolean(),
    mustListen: fc.boolean(),
  })
  .map(({ mode, runtime, shutdownWithMessage, treekill, waitReady, mustListen, ...restart }) =>
    instancePolicy(
      appSpec({
        mode,
        program: { runtime: mode === 'cluster' ? 'node' : runtime },
        restart,
        stop: { shutdownWithMessage, treekill },
        ready: { waitReady },
      }),
      mustListen,
    ),
  );

const exits: fc.Arbitrary<Exit> = fc.constantFrom(
  { code: 0, signal: null },
  { code: 1, signal: null },
  { code: 3, signal: null },
  { code: null, signal: 'SIGSEGV' },
);
const timers: readonly Timer[] = ['grace', 'listen', 'ready', 'drain', 'kill', 'backoff'];
const how = fc.constantFrom('covered' as const, 'gap' as const, 'final' as const);
const command = fc.constantFrom('start' as const, 'stop' as const, 'restart' as const, 'reset' as const);

const anyEvent: fc.Arbitrary<InstanceEvent> = fc.oneof(
  fc.tuple(command, how).map(([kind, how]) => ({ kind, how })),
  fc.constantFrom('only-streams' as const, 'drained' as const).map((kind) => ({ kind })),
  fc.integer({ min: 1, max: 99_999 }).map((pid) => ({ kind: 'spawned' as const, pid })),
  fc.boolean().map((short) => ({ kind: 'spawn-failed' as const, reason: 'no such file', short })),
  fc
    .constantFrom('main-ran' as const, 'settled' as const, 'listening' as const, 'ready' as const)
    .map((kind) => ({ kind })),
  fc.record({ kind: fc.constant('exited' as const), exit: exits, treeAlive: fc.boolean() }),
  fc.constant({ kind: 'tree-gone' as const }),
  fc.constantFrom(...timers).map((timer) => ({ kind: 'timer' as const, timer })),
);

function checkShape({ state, restarts, history }: Instance): void {
  const hasProcess = ['starting', 'online', 'draining', 'stopping'].includes(state.kind);
  assert.equal('pid' in state, hasProcess);
  if (!hasProcess) assert.equal(pidOf({ state }), null);
  assert.ok(restarts >= 0 && history.unstable >= 0 && history.backoffMs >= 0);
}

test('step is total: any event in any state gives a state, and what it does is plain', () => {
  fc.assert(
    fc.property(policies, fc.boolean(), fc.array(anyEvent, { maxLength: 40 }), (policy, trial, events) => {
      let instance = newInstance(policy, { trial });
      events.forEach((event, index) => {
        const { restarts } = instance;
        const next = step(instance, event, index * 700);
        checkShape(next.instance);
        if (event.kind === 'reset') assert.equal(next.instance.restarts, 0);
        else assert.ok(next.instance.restarts >= restarts);
        assert.ok(next.effects.filter(({ kind }) => kind === 'spawn').length <= 1);
        instance = next.instance;
      });
    }),
    { numRuns: 500 },
  );
});

type Progress = 'main-ran' | 'settled' | 'listening' | 'ready' | 'only-streams' | 'drained';

/** What the world may do next; each is skipped where it makes no sense. */
type Move =
  | { readonly kind: 'command'; readonly command: 'start' | 'stop' | 'restart' | 'reset'; readonly how: StopHow }
  | { readonly kind: 'spawn-ends'; readonly ok: boolean }
  | { readonly kind: 'progress'; readonly what: Progress }
  | { readonly kind: 'exit'; readonly exit: Exit; readonly treeAlive: boolean }
  | { readonly kind: 'tree-ends' }
  | { readonly kind: 'next-timer' };

const move: fc.Arbitrary<Move> = fc.oneof(
  fc.tuple(command, how).map(([command, how]) => ({ kind: 'command' as const, command, how })),
  fc.boolean().map((ok) => ({ kind: 'spawn-ends' as const, ok })),
  fc
    .constantFrom<Progress[]>('main-ran', 'settled', 'listening', 'ready', 'only-streams', 'drained')
    .map((what) => ({ kind: 'progress' as const, what })),
  fc.record({ kind: fc.constant('exit' as const), exit: exits, treeAlive: fc.boolean() }),
  fc.constant({ kind: 'tree-ends' as const }),
  fc.constant({ kind: 'next-timer' as const }),
);

/** An operating system for one instance: it has at most one main process, and says so when it is asked for a second. */
class World {
  instance: Instance;
  #now = 1_000_000;
  #nextPid = 100;
  #spawning = false;
  #process: { readonly pid: number; killed: boolean } | null = null;
  #tree: { killed: boolean } | null = null;
  #timers: { readonly timer: Timer; readonly at: number }[] = [];
  #wantedUp = false;
  /** Whether the last process that ended had got SIGKILL, and so had its tree. */
  #killed = false;

  constructor(policy: InstancePolicy, trial: boolean) {
    this.instance = newInstance(policy, { trial });
  }

  get idle(): boolean {
    return !this.#spawning && this.#process === null && this.#tree === null;
  }

  perform(move: Move): void {
    switch (move.kind) {
      case 'command':
        if (move.command === 'stop') this.#wantedUp = false;
        else if (move.command !== 'reset') this.#wantedUp = true;
        return this.#send({ kind: move.command, how: move.how });
      case 'spawn-ends':
        if (!this.#spawning) return;
        this.#spawning = false;
        if (!move.ok) return this.#send({ kind: 'spawn-failed', reason: 'no such file' });
        this.#process = { pid: this.#nextPid++, killed: false };
        return this.#send({ kind: 'spawned', pid: this.#process.pid });
      case 'progress':
        if (this.#process) this.#send({ kind: move.what });
        return;
      case 'exit':
        if (this.#process) this.#exit(move.exit, move.treeAlive);
        return;
      case 'tree-ends':
        return this.#endTree();
      case 'next-timer':
        return this.#fireNext();
    }
  }

  /** After a stop: processes obey SIGKILL, and time passes, until nothing is left to happen. */
  settle(): void {
    for (let turn = 0; turn < 20 && !(this.idle && this.#timers.length === 0); turn++) this.#fireNext();
  }

  #exit(exit: Exit, treeAlive: boolean): void {
    this.#killed = this.#process?.killed ?? false;
    this.#process = null;
    this.#send({ kind: 'exited', exit, treeAlive });
  }

  #endTree(): void {
    if (!this.#tree) return;
    this.#tree = null;
    this.#send({ kind: 'tree-gone' });
  }

  #fireNext(): void {
    // No timer is so short that a spawn, or a process that got SIGKILL, outlives it.
    if (this.#spawning) return this.perform({ kind: 'spawn-ends', ok: true });
    if (this.#tree?.killed) return this.#endTree();
    if (this.#process?.killed) return this.#exit({ code: null, signal: 'SIGKILL' }, false);
    const due = this.#timers.toSorted((a, b) => a.at - b.at)[0];
    if (!due) return;
    this.#timers = this.#timers.filter((timer) => timer !== due);
    this.#now = Math.max(this.#now, due.at);
    this.#send({ kind: 'timer', timer: due.timer });
  }

  #send(event: InstanceEvent): void {
    const before = this.instance;
    const { instance, effects } = step(before, event, this.#now);
    this.instance = instance;
    checkShape(instance);
    if (event.kind !== 'reset') assert.ok(instance.restarts >= before.restarts, 'the restarts are counted up only');
    const respawns = effects.some(({ kind }) => kind === 'spawn');
    if (before.state.kind !== instance.state.kind || respawns) this.#timers = [];
    for (const effect of effects) this.#effect(effect);
  }

  #effect(effect: InstanceEffect): void {
    switch (effect.kind) {
      case 'spawn':
        assert.ok(this.idle, 'never a second process beside the first');
        assert.ok(this.#wantedUp, 'never a process that was told to stop');
        this.#spawning = true;
        return;
      case 'signal':
        if (effect.signal !== 'SIGKILL') return;
        if (this.#process) this.#process.killed = true;
        if (this.#tree && effect.tree) this.#tree.killed = true;
        return;
      case 'await-tree':
        this.#tree = { killed: this.#killed };
        return;
      case 'set-timer':
        this.#timers = this.#timers.filter(({ timer }) => timer !== effect.timer);
        this.#timers.push({ timer: effect.timer, at: this.#now + effect.ms });
        return;
      case 'end-drain':
      case 'ask-shutdown':
        assert.ok(this.#process, 'only a process can be asked');
    }
  }
}

test('in any world there is at most one process, and a stop is the end of it', () => {
  fc.assert(
    fc.property(policies, fc.boolean(), fc.array(move, { maxLength: 60 }), (policy, trial, moves) => {
      const world = new World(policy, trial);
      for (const next of moves) world.perform(next);
      world.perform({ kind: 'command', command: 'stop', how: 'final' });
      world.settle();
      assert.match(world.instance.state.kind, /^(stopped|errored)$/);
      assert.ok(world.idle, 'nothing is left');
    }),
    { numRuns: 2000 },
  );
});
