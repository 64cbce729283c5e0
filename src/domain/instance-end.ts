import { type Instance, type InstanceState, STOPPED_BY_COMMAND, type Step } from './instance.ts';
import { spawn, to } from './instance-state.ts';
import { decideRestart, describeExit, type Exit, neverRan } from './restart-policy.ts';

/** A process that was told to end has ended. */
export function afterStop(
  instance: Instance,
  state: Extract<InstanceState, { kind: 'stopping' }>,
  exit: Exit,
  now: number,
): Step {
  const { next } = state;
  const uptimeMs = now - state.since;
  if (next.kind === 'fail') return failed(instance, exit, uptimeMs, next.reason, now);
  const killed = state.killed ? `, killed after ${instance.policy.stop.killTimeoutMs} ms` : '';
  const reason = `${next.why ?? (next.kind === 'stop' ? STOPPED_BY_COMMAND : 'restarted by command')}${killed}`;
  const ended = { ...instance, lastExit: { ...exit, at: now, uptimeMs, reason } };
  return next.kind === 'stop' ? to(ended, { kind: 'stopped', reason }) : spawn(ended, now);
}

/** A run has ended without being told to, or was ended because it failed. */
export function failed(instance: Instance, exit: Exit, uptimeMs: number, why: string | null, now: number): Step {
  const reason = why ?? `exited with ${describeExit(exit)}`;
  const ended = { ...instance, lastExit: { ...exit, at: now, uptimeMs, reason } };
  if (instance.trial) return to(ended, { kind: 'errored', reason });

  const wasReady = instance.state.kind === 'online';
  const { policy, history, chance } = instance;
  const decision = decideRestart(policy.restart, history, { exit, uptimeMs, wasReady }, chance);
  switch (decision.kind) {
    case 'stop':
      return to(ended, { kind: 'stopped', reason: decision.reason });
    case 'give-up': {
      const { nextTryMs } = decision;
      const state = {
        kind: 'errored',
        reason: why ? `${decision.reason}: ${why}` : decision.reason,
        nextTryAt: nextTryMs === null ? null : now + nextTryMs,
      } as const;
      const effects = nextTryMs === null ? [] : [{ kind: 'set-timer', timer: 'backoff', ms: nextTryMs } as const];
      return to({ ...ended, history: decision.history }, state, effects);
    }
    case 'restart': {
      const again = { ...ended, history: decision.history, restarts: instance.restarts + 1 };
      // No process could be made: the machine is short of something, which trying at once does not cure.
      const delayMs = neverRan(exit) ? Math.max(decision.delayMs, 1000) : decision.delayMs;
      if (delayMs === 0) return spawn(again, now);
      return to(again, { kind: 'backoff', until: now + delayMs, reason }, [
        { kind: 'set-timer', timer: 'backoff', ms: delayMs },
      ]);
    }
  }
}
