import { basename, dirname, isAbsolute, join } from 'node:path';
import type { AppSpec } from './app-spec.ts';

/**
 * The spec with the release that its paths lead to at present.
 * @param resolveLinks gives where a path leads, all symbolic links resolved, or null where it leads nowhere.
 */
export function inRelease(spec: AppSpec, resolveLinks: (path: string) => string | null): AppSpec {
  const { script, cwd, runtime } = spec.program;
  // A program may go by the name of the link that it was called by.
  const folder = isAbsolute(script) ? resolveLinks(dirname(script)) : null;
  const file = runtime === 'node' ? resolveLinks(script) : folder && join(folder, basename(script));
  const release = { script: (folder && file) || script, cwd: resolveLinks(cwd) ?? cwd };
  const same = release.script === script && release.cwd === cwd;
  return { ...spec, program: { ...spec.program, release: same ? null : release } };
}
