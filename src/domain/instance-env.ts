import type { AppSpec } from './app-spec.ts';

/** The environment of one instance: the app's, plus the few variables that tell instances apart. */
export function instanceEnv(
  spec: AppSpec,
  slot: { readonly id: number; readonly index: number },
): Record<string, string> {
  const env: Record<string, string> = { ...spec.env };
  if (spec.incrementVar !== null) {
    const first = Number(spec.env[spec.incrementVar] ?? 0);
    env[spec.incrementVar] = String((Number.isFinite(first) ? first : 0) + slot.index);
  }
  env[spec.instanceVar] = String(slot.index);
  // Apps written for pm2 read these two.
  env['pm_id'] = String(slot.id);
  env['name'] = spec.name;
  return env;
}

/** What tells a program who it is. */
const OF_THE_USER: ReadonlySet<string> = new Set(['HOME', 'USER', 'LOGNAME']);

/** A spec that has taken over the environment of a command (`--update-env`). */
export function withCallerEnv(spec: AppSpec, env: Readonly<Record<string, string>>): AppSpec {
  const taken = Object.entries(env).filter(
    ([name]) => !name.startsWith('UPKEEP_') && !(spec.uid !== null && OF_THE_USER.has(name)),
  );
  return { ...spec, env: { ...spec.env, ...Object.fromEntries(taken) } };
}
