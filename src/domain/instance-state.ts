import type { Instance, InstanceEffect, InstanceState, Step } from './instance.ts';

export function spawn(instance: Instance, now: number): Step {
  const nothing = { mainRan: false, listening: false, said: false, probed: false, notReady: null };
  return to(instance, { kind: 'starting', pid: null, since: now, ...nothing }, [{ kind: 'spawn' }]);
}

export function online(instance: Instance, pid: number, since: number): Step {
  return to(instance, { kind: 'online', pid, since });
}

/** The one place where a state is assigned. */
export function to(instance: Instance, state: InstanceState, effects: readonly InstanceEffect[] = []): Step {
  return { instance: { ...instance, state }, effects };
}

export function ignore(instance: Instance): Step {
  return { instance, effects: [] };
}
