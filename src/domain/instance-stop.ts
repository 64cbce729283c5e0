import type { StopSpec } from './app-spec.ts';
import { drainTimes, type StopHow } from './drain-times.ts';
import {
  type AfterStop,
  type Instance,
  type InstanceEffect,
  type InstanceEvent,
  type InstancePolicy,
  type InstanceState,
  STOPPED_BY_COMMAND,
  type Step,
} from './instance.ts';
import { ignore, to } from './instance-state.ts';

export type StopOrder = Pick<Extract<InstanceEvent, { kind: 'stop' }>, 'how' | 'why'>;

export function onStop(instance: Instance, { how, why }: StopOrder, now: number): Step {
  const { state } = instance;
  const next: AfterStop = why === undefined ? { kind: 'stop' } : { kind: 'stop', why };
  switch (state.kind) {
    case 'starting':
    case 'online':
      return beginStop(instance, state, next, how, now);
    case 'draining':
      return redirectDrain(instance, state, next, how);
    case 'stopping':
      return to(instance, { ...state, next });
    case 'backoff':
    case 'errored':
      return to(instance, { kind: 'stopped', reason: STOPPED_BY_COMMAND });
    case 'stopped':
      return ignore(instance);
  }
}

export function beginStop(
  instance: Instance,
  state: Extract<InstanceState, { kind: 'starting' | 'online' }>,
  next: AfterStop,
  how: StopHow,
  now: number,
): Step {
  const { stop, mode, runtime } = instance.policy;
  const { pid, since } = state;
  // Before it is ready there is nothing to finish, and its bootstrap may not be there to ask; but a worker of a cluster
  // may have got connections as soon as it listens.
  const canAsk = state.kind === 'online' && runtime === 'node';
  const mayServe = canAsk || (state.kind === 'starting' && state.listening);
  if (mayServe && mode === 'cluster' && pid !== null) {
    const { order, timeoutMs } = drainTimes(instance.policy, how);
    return to(instance, { kind: 'draining', pid, since, from: now, how, next }, [
      { kind: 'set-timer', timer: 'drain', ms: timeoutMs },
      { kind: 'ask-shutdown', drain: order },
    ]);
  }
  const effects: InstanceEffect[] = [setKillTimer(instance.policy)];
  if (canAsk && stop.shutdownWithMessage) effects.push({ kind: 'ask-shutdown', drain: null });
  else if (pid !== null) effects.push(politeSignal(stop));
  return to(instance, ending(pid, since, state.kind === 'online', next), effects);
}

/** The one that a stop begins with. */
export function politeSignal({ signal, treekill, mainFirst }: StopSpec): InstanceEffect {
  return { kind: 'signal', signal, tree: treekill && !mainFirst };
}

function ending(
  pid: number | null,
  since: number,
  wasReady: boolean,
  next: AfterStop,
): Extract<InstanceState, { kind: 'stopping' }> {
  return { kind: 'stopping', pid, since, wasReady, exit: null, killed: false, next };
}

/** Another command while it drains: it decides what comes after, and one that stops for good shortens the drain. */
export function redirectDrain(
  instance: Instance,
  state: Extract<InstanceState, { kind: 'draining' }>,
  next: AfterStop,
  how: StopHow,
): Step {
  if (how === 'covered' || how === state.how) return to(instance, { ...state, next });
  const ms = instance.policy.stop.killTimeoutMs;
  return to(instance, { ...state, how, next }, [{ kind: 'set-timer', timer: 'drain', ms }]);
}

export function onOnlyStreams(instance: Instance, now: number): Step {
  const { state, policy } = instance;
  if (state.kind !== 'draining') return ignore(instance);
  const ms = Math.max(0, state.from + drainTimes(policy, state.how).streamTimeoutMs - now);
  return to(instance, state, [{ kind: 'set-timer', timer: 'drain', ms }]);
}

/** From here on it is the app's own turn, for kill_timeout. */
export function endDrain(
  instance: Instance,
  { pid, since, next }: Extract<InstanceState, { kind: 'draining' }>,
  effects: readonly InstanceEffect[],
): Step {
  return to(instance, ending(pid, since, true, next), [...effects, setKillTimer(instance.policy)]);
}

export function setKillTimer({ stop }: InstancePolicy): InstanceEffect {
  return { kind: 'set-timer', timer: 'kill', ms: stop.killTimeoutMs };
}

export function onKillTimer(instance: Instance): Step {
  const { state, policy } = instance;
  if (state.kind !== 'stopping') return ignore(instance);
  // A process in the kernel's hands may outlive SIGKILL for long: it is tried again, and no other is started meanwhile.
  return to(instance, { ...state, killed: true }, [
    { kind: 'signal', signal: 'SIGKILL', tree: policy.stop.treekill },
    { kind: 'set-timer', timer: 'kill', ms: Math.max(policy.stop.killTimeoutMs, 5000) },
  ]);
}
