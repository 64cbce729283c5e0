import { GRACE_MS, START_DEADLINE_MS } from './app-spec.ts';
import { drainTimes } from './drain-times.ts';
import type {
  AfterStop,
  Instance,
  InstanceEffect,
  InstanceEvent,
  InstancePolicy,
  InstanceState,
  Step,
  Timer,
} from './instance.ts';
import { afterStop, failed } from './instance-end.ts';
import { ignore, online, spawn, to } from './instance-state.ts';
import {
  beginStop,
  endDrain,
  onKillTimer,
  onOnlyStreams,
  onStop,
  politeSignal,
  redirectDrain,
  type StopOrder,
  setKillTimer,
} from './instance-stop.ts';
import { type Exit, FRESH_HISTORY } from './restart-policy.ts';

/** Between two tries to start a process where the machine is short of something: each wait is twice the one before. */
const FIRST_SHORTAGE_MS = 500;
const LONGEST_SHORTAGE_MS = 15_000;

/**
 * The life of an instance, as a pure machine: the next instance, and the effects to perform. It is total: an event
 * that means nothing in a state changes nothing. docs/lifecycle.md is its manual. A timer belongs to the state it was
 * set in: whoever performs the effects drops all timers of an instance when `state.kind` changes.
 */
export function step(instance: Instance, event: InstanceEvent, now: number): Step {
  switch (event.kind) {
    case 'start':
      return onStart(instance, now);
    case 'stop':
      return onStop(instance, event, now);
    case 'restart':
      return onRestart(instance, event, now);
    case 'reset':
      return to({ ...instance, restarts: 0, history: FRESH_HISTORY }, instance.state);
    case 'took-over':
      return to({ ...instance, trial: false }, instance.state);
    case 'spawned':
      return onSpawned(instance, event.pid);
    case 'spawn-failed':
      return onSpawnFailed(instance, event, now);
    case 'main-ran':
    case 'listening':
    case 'ready':
    case 'probed':
      return onProgress(instance, event.kind);
    case 'settled':
      return onSettled(instance);
    case 'closed':
      return instance.state.kind === 'starting'
        ? to(instance, { ...instance.state, listening: false })
        : ignore(instance);
    case 'not-ready':
      return instance.state.kind === 'starting'
        ? to(instance, { ...instance.state, notReady: event.reason })
        : ignore(instance);
    case 'only-streams':
      return onOnlyStreams(instance, now);
    case 'drained':
      return instance.state.kind === 'draining' ? endDrain(instance, instance.state, []) : ignore(instance);
    case 'exited':
      return onExited(instance, event.exit, event.treeAlive, now);
    case 'tree-gone':
      return instance.state.kind === 'stopping' && instance.state.exit
        ? afterStop(instance, instance.state, instance.state.exit, now)
        : ignore(instance);
    case 'timer':
      return onTimer(instance, event.timer, now);
  }
}

/**
 * Takes up the life of an instance where another supervisor left it: what it was about to do, and its timers. A time
 * that cannot be told begins anew.
 */
export function resume(instance: Instance, now: number): Step {
  const { state, policy } = instance;
  switch (state.kind) {
    case 'starting': {
      if (state.pid === null) return spawn(instance, now);
      const deadlineMs = wordDeadlineMs(policy);
      if (deadlineMs > 0) return to(instance, state, [{ kind: 'set-timer', timer: 'ready', ms: deadlineMs }]);
      return to(instance, state, [
        { kind: 'set-timer', timer: 'grace', ms: Math.max(GRACE_MS, policy.ready.listenTimeoutMs) },
      ]);
    }
    case 'draining': {
      const { timeoutMs, streamTimeoutMs } = drainTimes(policy, state.how);
      const ms = Math.max(0, state.from + Math.max(timeoutMs, streamTimeoutMs) - now);
      return to(instance, state, [{ kind: 'set-timer', timer: 'drain', ms }]);
    }
    case 'stopping': {
      if (state.pid === null) return afterStop(instance, state, { code: null, signal: null }, now);
      return to(instance, state, [setKillTimer(policy), ...(state.exit ? [{ kind: 'await-tree' } as const] : [])]);
    }
    case 'backoff':
      return to(instance, state, [{ kind: 'set-timer', timer: 'backoff', ms: Math.max(0, state.until - now) }]);
    case 'errored': {
      const { nextTryAt = null } = state;
      if (nextTryAt === null) return ignore(instance);
      return to(instance, state, [{ kind: 'set-timer', timer: 'backoff', ms: Math.max(0, nextTryAt - now) }]);
    }
    case 'stopped':
    case 'online':
      return ignore(instance);
  }
}

function onStart(instance: Instance, now: number): Step {
  const { state } = instance;
  switch (state.kind) {
    case 'stopped':
    case 'errored':
      return spawn({ ...instance, history: FRESH_HISTORY }, now);
    case 'backoff':
      return spawn(instance, now);
    case 'draining':
    case 'stopping':
      return to(instance, { ...state, next: { kind: 'start' } });
    case 'starting':
    case 'online':
      return ignore(instance);
  }
}

function onRestart(instance: Instance, { how, why }: StopOrder, now: number): Step {
  const { state } = instance;
  const next: AfterStop = why === undefined ? { kind: 'start' } : { kind: 'start', why };
  const fresh = { ...instance, history: FRESH_HISTORY, restarts: instance.restarts + 1 };
  switch (state.kind) {
    case 'starting':
    case 'online':
      return beginStop(fresh, state, next, how, now);
    case 'draining':
      return redirectDrain(fresh, state, next, how);
    case 'stopping':
      return to(fresh, { ...state, next });
    case 'stopped':
    case 'backoff':
    case 'errored':
      return spawn(fresh, now);
  }
}

function onSpawned(instance: Instance, pid: number): Step {
  const { state, policy } = instance;
  if (state.kind === 'stopping' && state.pid === null) {
    return to(instance, { ...state, pid }, [politeSignal(policy.stop)]);
  }
  if (state.kind !== 'starting') return ignore(instance);
  const timers: InstanceEffect[] = [];
  const deadlineMs = wordDeadlineMs(policy);
  if (deadlineMs > 0) {
    timers.push({ kind: 'set-timer', timer: 'ready', ms: deadlineMs });
  } else if (policy.runtime === 'other') {
    timers.push({ kind: 'set-timer', timer: 'grace', ms: GRACE_MS });
  } else if (instance.trial) {
    timers.push({ kind: 'set-timer', timer: 'ready', ms: START_DEADLINE_MS });
  }
  return to(instance, { ...state, pid }, timers);
}

/** How long the word of the app and the probe may take; 0 where neither is waited for. */
function wordDeadlineMs({ ready }: InstancePolicy): number {
  return Math.max(ready.waitReady ? ready.listenTimeoutMs : 0, ready.probe?.deadlineMs ?? 0);
}

function onSpawnFailed(
  instance: Instance,
  { reason, short = false }: Extract<InstanceEvent, { kind: 'spawn-failed' }>,
  now: number,
): Step {
  const { state, history, trial } = instance;
  if (state.kind === 'stopping') return afterStop(instance, state, { code: null, signal: null }, now);
  if (state.kind !== 'starting') return ignore(instance);
  if (!short || trial) return failed(instance, { code: null, signal: null }, 0, reason, now);
  // No fault of the app: it is neither counted nor given up.
  const delayMs = Math.min(FIRST_SHORTAGE_MS * 2 ** history.shortages, LONGEST_SHORTAGE_MS);
  return to(
    { ...instance, history: { ...history, shortages: history.shortages + 1 } },
    { kind: 'backoff', until: now + delayMs, reason },
    [{ kind: 'set-timer', timer: 'backoff', ms: delayMs }],
  );
}

function onProgress(instance: Instance, what: 'main-ran' | 'listening' | 'ready' | 'probed'): Step {
  const { state, policy } = instance;
  if (state.kind !== 'starting' || state.pid === null) return ignore(instance);
  const next = {
    ...state,
    mainRan: state.mainRan || what === 'main-ran',
    listening: state.listening || what === 'listening',
    said: state.said || what === 'ready',
    probed: state.probed || what === 'probed',
  };
  const { waitReady, probe } = policy.ready;
  if (waitReady || probe) {
    const isReady = (next.said || !waitReady) && (next.probed || !probe);
    return isReady ? online(instance, state.pid, state.since) : to(instance, next);
  }
  if (!next.mainRan || what === 'ready' || what === 'probed') return to(instance, next);
  if (next.listening) return online(instance, state.pid, state.since);
  // Set once: what comes later than the main module is its listening.
  // A trial has a limit already, and fails at it.
  if ((policy.mustListen && instance.trial) || what !== 'main-ran') return to(instance, next);
  if (policy.mustListen) return to(instance, next, [{ kind: 'set-timer', timer: 'listen', ms: START_DEADLINE_MS }]);
  const timer: InstanceEffect =
    policy.mode === 'cluster'
      ? { kind: 'set-timer', timer: 'listen', ms: policy.ready.listenTimeoutMs }
      : { kind: 'set-timer', timer: 'grace', ms: GRACE_MS };
  return to(instance, next, [timer]);
}

/** A program that listens nowhere is ready then; one of a cluster may still open its port. */
function onSettled(instance: Instance): Step {
  const { state, policy } = instance;
  const { waitReady, probe } = policy.ready;
  if (state.kind !== 'starting' || state.pid === null || !state.mainRan) return ignore(instance);
  if (policy.mode === 'cluster' || waitReady || probe || policy.mustListen) return ignore(instance);
  return online(instance, state.pid, state.since);
}

function onExited(instance: Instance, exit: Exit, treeAlive: boolean, now: number): Step {
  const { state, policy } = instance;
  switch (state.kind) {
    case 'starting':
    case 'online': {
      const told = treeAlive && exit.code === 0 ? { ...exit, leftOthers: true } : exit;
      const next = failed(instance, told, now - state.since, null, now);
      if (!treeAlive || !policy.stop.treekill) return next;
      // What a dead main process leaves behind could hold its port: it goes before the next run.
      return { ...next, effects: [{ kind: 'signal', signal: 'SIGKILL', tree: true }, ...next.effects] };
    }
    case 'draining': {
      const { instance: ended } = endDrain(instance, state, []);
      const after = onExited(ended, exit, treeAlive, now);
      if (after.instance.state.kind !== 'stopping') return after;
      return { ...after, effects: [...after.effects, setKillTimer(policy)] };
    }
    case 'stopping':
      if (treeAlive && policy.stop.treekill) {
        const { signal, mainFirst } = policy.stop;
        const effects: InstanceEffect[] = mainFirst ? [{ kind: 'signal', signal, tree: true }] : [];
        return to(instance, { ...state, exit }, [...effects, { kind: 'await-tree' }]);
      }
      return afterStop(instance, state, exit, now);
    case 'stopped':
    case 'backoff':
    case 'errored':
      return ignore(instance);
  }
}

function onTimer(instance: Instance, timer: Timer, now: number): Step {
  const { state, policy } = instance;
  switch (timer) {
    case 'grace':
    case 'listen':
      return state.kind === 'starting' && state.pid !== null
        ? online(instance, state.pid, state.since)
        : ignore(instance);
    case 'ready': {
      if (state.kind !== 'starting') return ignore(instance);
      return beginStop(instance, state, { kind: 'fail', reason: whyNotReady(policy, state) }, 'final', now);
    }
    case 'drain':
      return state.kind === 'draining' ? endDrain(instance, state, [{ kind: 'end-drain' }]) : ignore(instance);
    case 'kill':
      return onKillTimer(instance);
    case 'backoff':
      if (state.kind === 'errored' && typeof state.nextTryAt === 'number')
        return spawn({ ...instance, restarts: instance.restarts + 1 }, now);
      return state.kind === 'backoff' ? spawn(instance, now) : ignore(instance);
  }
}

function whyNotReady(policy: InstancePolicy, state: Extract<InstanceState, { kind: 'starting' }>): string {
  const within = `within ${wordDeadlineMs(policy) || START_DEADLINE_MS} ms`;
  if (policy.ready.waitReady && !state.said) return `did not send 'ready' ${within} (wait_ready)`;
  if (!policy.ready.probe) return `was not ready ${within}`;
  return `was not ready ${within} (readiness: ${state.notReady ?? 'no answer'})`;
}
