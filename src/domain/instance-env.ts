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
