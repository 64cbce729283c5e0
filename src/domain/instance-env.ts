import type { AppSpec } from './app-spec.ts';

/** The environment of one instance: the app's, plus the few variables that tell instances apart. */
export function instanceEnv(
  spec: AppSpec,
  slot: { readonly id: number; readonly index: number },
): Record<string, string> {
  // Apps written for pm2 read these two. What is declared of them stays: nothing of the caller's is there (see below).
  const env: Record<string, string> = { pm_id: String(slot.id), name: spec.name, ...spec.env };
  if (spec.incrementVar !== null) {
    const first = Number(Object.hasOwn(spec.env, spec.incrementVar) ? spec.env[spec.incrementVar] : 0);
    env[spec.incrementVar] = String((Number.isFinite(first) ? first : 0) + slot.index);
  }
  env[spec.instanceVar] = String(slot.index);
  return env;
}

/** Each instance has its own: those of a caller are of the app that has called. */
const OF_AN_INSTANCE: ReadonlySet<string> = new Set(['pm_id', 'name']);

/** What tells a program who it is, and where its own upkeep is. */
const OF_THE_USER: ReadonlySet<string> = new Set(['HOME', 'USER', 'LOGNAME', 'UPKEEP_HOME']);

/**
 * What an app may take over of the environment of a command.
 * @param otherUser the app runs as another user than the command.
 */
export function callerEnv(
  env: Readonly<Record<string, string | undefined>>,
  otherUser: boolean,
): readonly (readonly [name: string, value: string])[] {
  return Object.entries(env).flatMap(([name, value]) => {
    if (value === undefined || OF_AN_INSTANCE.has(name)) return [];
    // An app that calls upkeep means the one that runs it; the rest with that name marks the caller's own run.
    if (name.startsWith('UPKEEP_') && name !== 'UPKEEP_HOME') return [];
    return otherUser && OF_THE_USER.has(name) ? [] : [[name, value] as const];
  });
}

/** A spec that has taken over the environment of a command (`--update-env`). */
export function withCallerEnv(spec: AppSpec, env: Readonly<Record<string, string>>): AppSpec {
  return { ...spec, env: { ...spec.env, ...Object.fromEntries(callerEnv(env, spec.uid !== null)) } };
}
