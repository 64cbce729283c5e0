import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { GRACE_MS, START_DEADLINE_MS } from '../../src/domain/app-spec.ts';
import {
  type Instance,
  type InstanceEffect,
  type InstanceEvent,
  type InstanceState,
  instancePolicy,
  newInstance,
  pidOf,
  type Timer,
} from '../../src/domain/instance.ts';
import { resume, step } from '../../src/domain/instance-step.ts';
import type { Exit } from '../../src/domain/restart-policy.ts';
import { appSpec, clusterSpec } from '../fakes/app-spec.ts';

const NOW = 100_000;
const SINCE = 90_000;
const PID = 42;

const SPAWN: InstanceEffect = { kind: 'spawn' };
const ASK: InstanceEffect = { kind: 'ask-shutdown', drain: null };
const asksToDrain = (lingerMs: number, staggerMs: number, move = false): InstanceEffect => ({
  kind: 'ask-shutdown',
  drain: { lingerMs, staggerMs, move },
});
const END_DRAIN: InstanceEffect = { kind: 'end-drain' };
const AWAIT_TREE: InstanceEffect = { kind: 'await-tree' };
const sends = (signal: string, tree = true): InstanceEffect => ({ kind: 'signal', signal, tree });
const sets = (timer: Timer, ms: number): InstanceEffect => ({ kind: 'set-timer', timer, ms });
const fires = (timer: Timer): InstanceEvent => ({ kind: 'timer', timer });
const exits = (exit: Partial<Exit> = { code: 1 }, treeAlive = false): InstanceEvent => ({
  kind: 'exited',
  exit: { code: null, signal: null, ...exit },
  treeAlive,
});

const START: InstanceEvent = { kind: 'start' };
const STOP: InstanceEvent = { kind: 'stop', how: 'final' };
const RESTART: InstanceEvent = { kind: 'restart', how: 'gap' };
const RETIRE: InstanceEvent = { kind: 'stop', how: 'covered' };
const SPAWNED: InstanceEvent = { kind: 'spawned', pid: PID };
const SPAWN_FAILED: InstanceEvent = { kind: 'spawn-failed', reason: 'no such file' };
const SHORT: InstanceEvent = { kind: 'spawn-failed', reason: 'no memory', short: true };
const MAIN_RAN: InstanceEvent = { kind: 'main-ran' };
const SETTLED: InstanceEvent = { kind: 'settled' };
const LISTENING: InstanceEvent = { kind: 'listening' };
const READY: InstanceEvent = { kind: 'ready' };
const TREE_GONE: InstanceEvent = { kind: 'tree-gone' };

const stopped: InstanceState = { kind: 'stopped', reason: 'not started yet' };
const errored: InstanceState = { kind: 'errored', reason: 'gave up' };
const backoff: InstanceState = { kind: 'backoff', until: NOW + 50, reason: 'exited with code 1' };
const online: InstanceState = { kind: 'online', pid: PID, since: SINCE };
const starting = (more: Partial<Extract<InstanceState, { kind: 'starting' }>> = {}): InstanceState => ({
  kind: 'starting',
  pid: PID,
  since: SINCE,
  mainRan: false,
  listening: false,
  said: false,
  probed: false,
  notReady: null,
  ...more,
});
const spawning = starting({ pid: null });
const spawningNow = starting({ pid: null, since: NOW });
const stopping = (more: Partial<Extract<InstanceState, { kind: 'stopping' }>> = {}): InstanceState => ({
  kind: 'stopping',
  pid: PID,
  since: SINCE,
  wasReady: true,
  exit: null,
  killed: false,
  next: { kind: 'stop' },
  ...more,
});
const draining = (more: Partial<Extract<InstanceState, { kind: 'draining' }>> = {}): InstanceState => ({
  kind: 'draining',
  pid: PID,
  since: SINCE,
  from: NOW,
  how: 'final',
  next: { kind: 'stop' },
  ...more,
});
const thenStart = { kind: 'start' } as const;
const becauseItFailed = { kind: 'fail', reason: 'was not ready' } as const;

const node = instancePolicy(appSpec());
const other = instancePolicy(appSpec({ program: { runtime: 'other' } }));
const cluster = instancePolicy(clusterSpec());
const waits = instancePolicy(clusterSpec({ ready: { waitReady: true } }));
const forkWaits = instancePolicy(appSpec({ ready: { waitReady: true } }));
const forkSuccessor = instancePolicy(appSpec(), true);
const successor = instancePolicy(clusterSpec(), true);
const leavesTree = instancePolicy(appSpec({ stop: { treekill: false } }));
const mainFirst = instancePolicy(appSpec({ stop: { mainFirst: true } }));
const byMessage = instancePolicy(appSpec({ stop: { shutdownWithMessage: true } }));
const once = instancePolicy(appSpec({ restart: { autorestart: false } }));
const givesUp = instancePolicy(appSpec({ restart: { maxRestarts: 1 } }));
const delayed = instancePolicy(appSpec({ restart: { delayMs: 50 } }));

type Given = Partial<Instance> & Pick<Instance, 'state'>;
type Row = readonly [what: string, given: Given, event: InstanceEvent, state: InstanceState, effects: InstanceEffect[]];

const inState = (state: InstanceState, policy = node, more: Partial<Instance> = {}): Given => ({
  state,
  policy,
  ...more,
});

function table(title: string, rows: readonly Row[]): void {
  describe(title, () => {
    for (const [what, given, event, state, effects] of rows) {
      test(what, () => {
        const before = { ...newInstance(node), ...given };
        const after = step(before, event, NOW);
        assert.deepEqual(after.instance.state, state);
        assert.deepEqual(after.effects, effects);
      });
    }
  });
}

/** An event that means nothing in these states. */
const ignores = (what: string, event: InstanceEvent, states: readonly InstanceState[]): Row[] =>
  states.map((state): Row => [`${what} in ${state.kind}`, inState(state), event, state, []]);

table('start', [
  ['of a stopped instance spawns', inState(stopped), START, spawningNow, [SPAWN]],
  ['of an errored instance spawns', inState(errored), START, spawningNow, [SPAWN]],
  ['ends the wait of a backoff', inState(backoff), START, spawningNow, [SPAWN]],
  ['while stopping starts once it is down', inState(stopping()), START, stopping({ next: thenStart }), []],
  ...ignores('is ignored', START, [starting(), online]),
]);

table('stop', [
  ['asks by the signal', inState(online), STOP, stopping(), [sets('kill', 1600), sends('SIGINT')]],
  [
    'of a main process first, where that was asked for',
    inState(online, mainFirst),
    STOP,
    stopping(),
    [sets('kill', 1600), sends('SIGINT', false)],
  ],
  [
    'of a main process only, without treekill',
    inState(online, leavesTree),
    STOP,
    stopping(),
    [sets('kill', 1600), sends('SIGINT', false)],
  ],
  [
    'asks a cluster worker to drain, within kill_timeout',
    inState(online, cluster),
    STOP,
    draining(),
    [sets('drain', 1600), asksToDrain(200, 400)],
  ],
  ['asks by message where that is wanted', inState(online, byMessage), STOP, stopping(), [sets('kill', 1600), ASK]],
  [
    'cannot ask a worker that is not ready',
    inState(starting(), cluster),
    STOP,
    stopping({ wasReady: false }),
    [sets('kill', 1600), sends('SIGINT')],
  ],
  [
    'has nothing to signal before there is a process',
    inState(spawning),
    STOP,
    stopping({ pid: null, wasReady: false }),
    [sets('kill', 1600)],
  ],
  ['calls off a restart', inState(stopping({ next: thenStart })), STOP, stopping(), []],
  ['calls off the retry of a failed start', inState(stopping({ next: becauseItFailed })), STOP, stopping(), []],
  ['ends a backoff', inState(backoff), STOP, { kind: 'stopped', reason: 'stopped by command' }, []],
  ['clears errored', inState(errored), STOP, { kind: 'stopped', reason: 'stopped by command' }, []],
  ...ignores('is ignored', STOP, [stopped]),
]);

table('drain', [
  [
    'of one that others stand in for has all the time of its spec',
    inState(online, cluster),
    RETIRE,
    draining({ how: 'covered' }),
    [sets('drain', 30_000), asksToDrain(10_000, 5000, true)],
  ],
  [
    'of one that is started again does not wait for idle clients and streams',
    inState(online, cluster),
    RESTART,
    draining({ how: 'gap', next: thenStart }),
    [sets('drain', 30_000), asksToDrain(200, 400)],
  ],
  [
    'with only streams left gets their time, from its beginning',
    inState(draining({ how: 'covered', from: NOW - 10_000 }), cluster),
    { kind: 'only-streams' },
    draining({ how: 'covered', from: NOW - 10_000 }),
    [sets('drain', 50_000)],
  ],
  [
    'with only streams left and their time over ends at once',
    inState(draining({ from: NOW - 10_000 }), cluster),
    { kind: 'only-streams' },
    draining({ from: NOW - 10_000 }),
    [sets('drain', 0)],
  ],
  [
    'done, it is the turn of the app',
    inState(draining({ next: thenStart }), cluster),
    { kind: 'drained' },
    stopping({ next: thenStart }),
    [sets('kill', 1600)],
  ],
  [
    'out of time, it is the turn of the app too',
    inState(draining(), cluster),
    fires('drain'),
    stopping(),
    [END_DRAIN, sets('kill', 1600)],
  ],
  [
    'is shortened by a stop for good',
    inState(draining({ how: 'covered', next: thenStart }), cluster),
    STOP,
    draining(),
    [sets('drain', 1600)],
  ],
  ['is not prolonged by another command', inState(draining(), cluster), RETIRE, draining(), []],
  ['goes on when a start follows it', inState(draining(), cluster), START, draining({ next: thenStart }), []],
  [
    'of which the process ends is the stop',
    inState(draining(), cluster),
    exits({ code: 0 }),
    { kind: 'stopped', reason: 'stopped by command' },
    [],
  ],
  [
    'of which the process ends is half of a restart',
    inState(draining({ next: thenStart }), cluster),
    exits({ code: 0 }),
    spawningNow,
    [SPAWN],
  ],
  [
    'of which the process ends waits for the rest of the tree',
    inState(draining(), cluster),
    exits({ code: 0 }, true),
    stopping({ exit: { code: 0, signal: null } }),
    [AWAIT_TREE, sets('kill', 1600)],
  ],
  ...ignores('word of its end is ignored', { kind: 'drained' }, [stopped, errored, backoff, online, stopping()]),
  ...ignores('word of its streams is ignored', { kind: 'only-streams' }, [stopped, online, stopping()]),
  ...ignores('its timer is ignored', fires('drain'), [stopped, online, stopping()]),
]);

table('restart', [
  ['stops first', inState(online), RESTART, stopping({ next: thenStart }), [sets('kill', 1600), sends('SIGINT')]],
  [
    'of one that starts stops it first',
    inState(starting()),
    RESTART,
    stopping({ wasReady: false, next: thenStart }),
    [sets('kill', 1600), sends('SIGINT')],
  ],
  ['while stopping starts once it is down', inState(stopping()), RESTART, stopping({ next: thenStart }), []],
  ['of a stopped instance spawns', inState(stopped), RESTART, spawningNow, [SPAWN]],
  ['ends the wait of a backoff', inState(backoff), RESTART, spawningNow, [SPAWN]],
  ['of an errored instance spawns', inState(errored), RESTART, spawningNow, [SPAWN]],
]);

table('spawned', [
  ['a Node.js app tells by itself', inState(spawning), SPAWNED, starting(), []],
  ['another program gets a grace', inState(spawning, other), SPAWNED, starting(), [sets('grace', GRACE_MS)]],
  ['wait_ready has a limit', inState(spawning, waits), SPAWNED, starting(), [sets('ready', 3000)]],
  [
    'a trial has a limit',
    inState(spawning, cluster, { trial: true }),
    SPAWNED,
    starting(),
    [sets('ready', START_DEADLINE_MS)],
  ],
  ['too late, as it is already to stop', inState(stopping({ pid: null })), SPAWNED, stopping(), [sends('SIGINT')]],
  ...ignores('is ignored', SPAWNED, [stopped, errored, backoff, online, stopping()]),
]);

table('spawn-failed', [
  [
    'waits a second, as trying at once does not help',
    inState(spawning),
    SPAWN_FAILED,
    { kind: 'backoff', until: NOW + 1000, reason: 'no such file' },
    [sets('backoff', 1000)],
  ],
  [
    'for want of something is tried again soon',
    inState(spawning),
    SHORT,
    { kind: 'backoff', until: NOW + 500, reason: 'no memory' },
    [sets('backoff', 500)],
  ],
  [
    'for want of something, again and again, is tried less often, and never given up',
    inState(spawning, node, { history: { unstable: 15, backoffMs: 0, shortages: 100, givenUp: 0 } }),
    SHORT,
    { kind: 'backoff', until: NOW + 15_000, reason: 'no memory' },
    [sets('backoff', 15_000)],
  ],
  [
    'for want of something fails a trial: what it was to replace serves on',
    inState(spawning, node, { trial: true }),
    SHORT,
    { kind: 'errored', reason: 'no memory' },
    [],
  ],
  [
    'fails a trial',
    inState(spawning, node, { trial: true }),
    SPAWN_FAILED,
    { kind: 'errored', reason: 'no such file' },
    [],
  ],
  [
    'ends a stop',
    inState(stopping({ pid: null })),
    SPAWN_FAILED,
    { kind: 'stopped', reason: 'stopped by command' },
    [],
  ],
  ...ignores('is ignored', SPAWN_FAILED, [stopped, errored, backoff, online]),
]);

const ran = starting({ mainRan: true });
const listens = starting({ listening: true });

table('getting ready', [
  ['a fork app whose main module ran gets a grace', inState(starting()), MAIN_RAN, ran, [sets('grace', GRACE_MS)]],
  ['it is online when it listens', inState(ran), LISTENING, online, []],
  ['it is online when the grace is over', inState(ran), fires('grace'), online, []],
  ['or when nothing of its start is pending', inState(ran), SETTLED, online, []],
  ['a worker may still listen then', inState(ran, cluster), SETTLED, ran, []],
  ['a successor must listen even then', inState(ran, forkSuccessor, { trial: true }), SETTLED, ran, []],
  ['wait_ready waits for the word even then', inState(ran, forkWaits), SETTLED, ran, []],
  ['to listen is not enough before the main module ran', inState(starting()), LISTENING, listens, []],
  ['the main module of one that listens completes it', inState(listens), MAIN_RAN, online, []],
  ['a worker gets the listen timeout', inState(starting(), cluster), MAIN_RAN, ran, [sets('listen', 3000)]],
  ['a worker that never listens is online after it', inState(ran, cluster), fires('listen'), online, []],
  ['a successor must listen', inState(starting(), successor, { trial: true }), MAIN_RAN, ran, []],
  [
    'one whose run before listened has as long as a start may take',
    inState(starting(), successor),
    MAIN_RAN,
    ran,
    [sets('listen', 30_000)],
  ],
  ['a successor that listens is online', inState(ran, successor, { trial: true }), LISTENING, online, []],
  [
    'a second main-ran sets no second timer',
    inState(listens, waits),
    MAIN_RAN,
    starting({ mainRan: true, listening: true }),
    [],
  ],
  ['wait_ready waits for the word', inState(ran, waits), LISTENING, starting({ mainRan: true, listening: true }), []],
  ['wait_ready is online by the word', inState(starting(), waits), READY, online, []],
  ['the word means nothing without wait_ready', inState(starting()), READY, starting({ said: true }), []],
  [
    'no word in time ends the run',
    inState(starting(), waits),
    fires('ready'),
    stopping({
      wasReady: false,
      next: { kind: 'fail', reason: "did not send 'ready' within 3000 ms (wait_ready)" },
    }),
    [sets('kill', 1600), sends('SIGINT')],
  ],
  [
    'a trial that is not ready in time is ended',
    inState(starting(), successor, { trial: true }),
    fires('ready'),
    stopping({ wasReady: false, next: { kind: 'fail', reason: `was not ready within ${START_DEADLINE_MS} ms` } }),
    [sets('kill', 1600), sends('SIGINT')],
  ],
  ['progress is ignored before there is a process', inState(spawning), MAIN_RAN, spawning, []],
  ...[MAIN_RAN, SETTLED, LISTENING, READY].flatMap((event) =>
    ignores(`${event.kind} is ignored`, event, [stopped, errored, backoff, online, stopping()]),
  ),
]);

table('exit by itself', [
  ['starts again at once', inState(online), exits(), spawningNow, [SPAWN]],
  [
    'kills first what it left behind',
    inState(online),
    exits({ code: 1 }, true),
    spawningNow,
    [sends('SIGKILL'), SPAWN],
  ],
  [
    'leaves what it left behind, without treekill',
    inState(online, leavesTree),
    exits({ code: 1 }, true),
    spawningNow,
    [SPAWN],
  ],
  [
    'starts again after the delay',
    inState(online, delayed),
    exits({ signal: 'SIGSEGV' }),
    { kind: 'backoff', until: NOW + 50, reason: 'exited with signal SIGSEGV' },
    [sets('backoff', 50)],
  ],
  ['the delay over, it spawns', inState(backoff), fires('backoff'), spawningNow, [SPAWN]],
  [
    'is the end, without autorestart',
    inState(online, once),
    exits({ code: 0 }),
    { kind: 'stopped', reason: 'exited with code 0; autorestart is off' },
    [],
  ],
  [
    'is an error, without autorestart, when it is one',
    inState(online, once),
    exits({ code: 3 }),
    { kind: 'errored', reason: 'exited with code 3; autorestart is off', nextTryAt: null },
    [],
  ],
  [
    'is given up after too many unstable runs',
    inState(starting(), givesUp),
    exits(),
    { kind: 'errored', reason: 'the run ended before it was ready, with code 1', nextTryAt: NOW + 60_000 },
    [sets('backoff', 60_000)],
  ],
  ['a stable run is not counted', inState(online, givesUp), exits(), spawningNow, [SPAWN]],
  [
    'a trial has one run',
    inState(starting(), successor, { trial: true }),
    exits(),
    { kind: 'errored', reason: 'exited with code 1' },
    [],
  ],
  ...ignores('is ignored', exits(), [stopped, errored, backoff]),
]);

table('exit while stopping', [
  ['is the stop', inState(stopping()), exits({ code: 0 }), { kind: 'stopped', reason: 'stopped by command' }, []],
  ['is half of a restart', inState(stopping({ next: thenStart })), exits({ code: 0 }), spawningNow, [SPAWN]],
  [
    'waits for the rest of the tree',
    inState(stopping()),
    exits({ code: 0 }, true),
    stopping({ exit: { code: 0, signal: null } }),
    [AWAIT_TREE],
  ],
  [
    'signals the rest when its main process has ended, where that comes first',
    inState(stopping(), mainFirst),
    exits({ code: 0 }, true),
    stopping({ exit: { code: 0, signal: null } }),
    [sends('SIGINT'), AWAIT_TREE],
  ],
  [
    'waits for no tree, without treekill',
    inState(stopping(), leavesTree),
    exits({ code: 0 }, true),
    { kind: 'stopped', reason: 'stopped by command' },
    [],
  ],
  [
    'the tree gone, it is the stop',
    inState(stopping({ exit: { code: 0, signal: null } })),
    TREE_GONE,
    { kind: 'stopped', reason: 'stopped by command' },
    [],
  ],
  [
    'the tree gone, it is half of a restart',
    inState(stopping({ exit: { code: 0, signal: null }, next: thenStart })),
    TREE_GONE,
    spawningNow,
    [SPAWN],
  ],
  ['tree-gone means nothing while the main process lives', inState(stopping()), TREE_GONE, stopping(), []],
  [
    'of a failed start asks the policy',
    inState(stopping({ wasReady: false, next: becauseItFailed }), givesUp),
    exits({ signal: 'SIGINT' }),
    {
      kind: 'errored',
      reason: 'the run ended before it was ready, with signal SIGINT: was not ready',
      nextTryAt: NOW + 60_000,
    },
    [sets('backoff', 60_000)],
  ],
  [
    'of a failed trial is its end',
    inState(stopping({ wasReady: false, next: becauseItFailed }), successor, { trial: true }),
    exits({ signal: 'SIGINT' }),
    { kind: 'errored', reason: 'was not ready' },
    [],
  ],
  ...ignores('tree-gone is ignored', TREE_GONE, [stopped, errored, backoff, starting(), online]),
]);

table('the kill timer', [
  [
    'kills what does not go',
    inState(stopping()),
    fires('kill'),
    stopping({ killed: true }),
    [sends('SIGKILL'), sets('kill', 5000)],
  ],
  [
    'waits as long again as the app was given',
    inState(stopping(), instancePolicy(appSpec({ stop: { killTimeoutMs: 9000 } }))),
    fires('kill'),
    stopping({ killed: true }),
    [sends('SIGKILL'), sets('kill', 9000)],
  ],
  [
    'says that it was needed',
    inState(stopping({ killed: true })),
    exits({ signal: 'SIGKILL' }),
    { kind: 'stopped', reason: 'stopped by command, killed after 1600 ms' },
    [],
  ],
  [
    'tries again what not even SIGKILL ended, and starts no other',
    inState(stopping({ killed: true })),
    fires('kill'),
    stopping({ killed: true }),
    [sends('SIGKILL'), sets('kill', 5000)],
  ],
]);

table('a timer that outlived its state', [
  ...(['grace', 'listen', 'ready', 'kill', 'backoff'] as const).flatMap((timer) =>
    ignores(`${timer} is ignored`, fires(timer), [stopped, errored, online]),
  ),
  ...ignores('backoff is ignored', fires('backoff'), [starting(), stopping()]),
  ...ignores('kill is ignored', fires('kill'), [starting(), backoff]),
  ...ignores('grace is ignored', fires('grace'), [spawning, stopping(), backoff]),
]);

describe('what is remembered', () => {
  const history = { unstable: 5, backoffMs: 300, shortages: 2, givenUp: 0 };
  const given = (state: InstanceState, more: Partial<Instance> = {}): Instance => ({
    ...newInstance(node),
    state,
    history,
    restarts: 7,
    ...more,
  });
  const after = (instance: Instance, event: InstanceEvent): Instance => step(instance, event, NOW).instance;

  test('reset clears the counters and nothing else', () => {
    for (const state of [stopped, errored, backoff, starting(), online, stopping()]) {
      const { state: kept, restarts, history: cleared } = after(given(state), { kind: 'reset' });
      assert.deepEqual([kept, restarts, cleared], [state, 0, { unstable: 0, backoffMs: 0, shortages: 0, givenUp: 0 }]);
    }
  });

  test('a shortage counts as no run, no restart and no exit; a run that ends after it ends its waits', () => {
    const short = after(given(spawning), SHORT);
    assert.deepEqual(
      [short.restarts, short.lastExit, short.history],
      [7, null, { ...history, shortages: 3, givenUp: 0 }],
    );
    const ended = after({ ...short, state: online }, exits());
    assert.equal(ended.history.shortages, 0);
  });

  test('a start by command gives all its tries again, but is no restart', () => {
    for (const state of [stopped, errored]) {
      const { restarts, history: cleared } = after(given(state), START);
      assert.deepEqual([restarts, cleared], [7, { unstable: 0, backoffMs: 0, shortages: 0, givenUp: 0 }]);
    }
  });

  test('a start that only shortens a backoff keeps the count of unstable runs', () => {
    assert.deepEqual(after(given(backoff), START).history, history);
  });

  test('a restart by command and one by the policy are counted, once each', () => {
    for (const state of [stopped, errored, backoff, starting(), online, stopping()])
      assert.equal(after(given(state), RESTART).restarts, 8, state.kind);
    assert.equal(after(given(online), exits()).restarts, 8);
    const down = after(given(online), RESTART);
    assert.equal(after(down, exits({ code: 0 })).restarts, 8);
  });

  test('an end that is no restart is not counted', () => {
    assert.equal(after(given(online, { policy: once }), exits()).restarts, 7);
    assert.equal(after(given(starting(), { policy: givesUp }), exits()).restarts, 7);
    assert.equal(after(given(stopping()), exits({ code: 0 })).restarts, 7);
  });

  test('the last exit tells how, when, after what time and why', () => {
    assert.deepEqual(after(given(online), exits({ signal: 'SIGKILL' })).lastExit, {
      code: null,
      signal: 'SIGKILL',
      at: NOW,
      uptimeMs: NOW - SINCE,
      reason: 'exited with signal SIGKILL',
    });
    assert.equal(
      after(given(stopping({ next: thenStart })), exits({ code: 0 })).lastExit?.reason,
      'restarted by command',
    );
  });

  test('a stop_exit_code counts when the app ended by itself, not by command', () => {
    const policy = instancePolicy(appSpec({ restart: { stopExitCodes: [7] } }));
    assert.equal(after(given(online, { policy }), exits({ code: 7 })).state.kind, 'stopped');
    assert.equal(after(given(stopping({ next: thenStart }), { policy }), exits({ code: 7 })).state.kind, 'starting');
  });

  test('one that was given up is tried again by its timer, and another supervisor goes on with that', () => {
    const givenUp = given({ kind: 'errored', reason: 'gave up', nextTryAt: NOW + 40 }, {});
    assert.deepEqual(resume(givenUp, NOW).effects, [sets('backoff', 40)]);
    const again = step(givenUp, { kind: 'timer', timer: 'backoff' }, NOW + 40).instance;
    assert.deepEqual([again.state.kind, again.restarts], ['starting', givenUp.restarts + 1]);
  });

  test('a trial has one run until it has taken over, and then is an instance like any other', () => {
    const ready = after(given(ran, { policy: successor, trial: true }), LISTENING);
    assert.deepEqual([ready.state.kind, ready.trial], ['online', true]);
    assert.equal(after(ready, exits()).state.kind, 'errored');
    assert.equal(after(after(ready, { kind: 'took-over' }), exits()).state.kind, 'starting');
  });

  test('the backoff grows from crash to crash', () => {
    const policy = instancePolicy(appSpec({ restart: { backoffMs: 100 } }));
    const delays: number[] = [];
    let instance: Instance = { ...newInstance(policy), state: online };
    for (let crash = 0; crash < 4; crash++) {
      const crashed = step({ ...instance, state: { ...online, since: NOW } }, exits(), NOW);
      for (const effect of crashed.effects) if (effect.kind === 'set-timer') delays.push(effect.ms);
      instance = crashed.instance;
    }
    assert.deepEqual(delays, [100, 150, 225, 338]);
  });
});

test('pidOf knows a pid only where there is a process', () => {
  const pids = [stopped, errored, backoff, spawning, starting(), online, stopping()].map((state) => pidOf({ state }));
  assert.deepEqual(pids, [null, null, null, null, PID, PID, PID]);
});
