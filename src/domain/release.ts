import { basename, dirname, isAbsolute, join } from 'node:path';
import { type AppSpec, programToRun } from './app-spec.ts';

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

export interface Paths {
  /** Where a path leads, all symbolic links resolved; null where it leads nowhere. */
  readonly resolveLinks: (path: string) => string | null;
  /** What a symbolic link says; null for what is none. */
  readonly readLink: (path: string) => string | null;
}

/** What of a spec is not there. */
export interface MissingPath {
  readonly what: 'working directory' | 'script';
  readonly path: string;
  /** The last link on the way to it; null for none. */
  readonly link: { readonly path: string; readonly target: string } | null;
}

/** @returns what a process could not be started for; null where it is all there, as far as can be seen. */
export function missingPath(spec: AppSpec, paths: Paths): MissingPath | null {
  const { cwd, script, exec, runtime } = programToRun(spec);
  const { interpreterArgs } = spec.program;
  const missing = (what: MissingPath['what'], path: string): MissingPath | null =>
    paths.resolveLinks(path) === null ? { what, path, link: lastLink(path, paths) } : null;
  // A command line is no file.
  const isFile = runtime === 'node' || exec === script || (isAbsolute(script) && !interpreterArgs.includes('-c'));
  return missing('working directory', cwd) ?? (isFile ? missing('script', script) : null);
}

function lastLink(path: string, { resolveLinks, readLink }: Paths): MissingPath['link'] {
  let link: MissingPath['link'] = null;
  let at = '/';
  for (const name of path.split('/').filter((part) => part !== '')) {
    at = join(at, name);
    const target = readLink(at);
    if (target !== null) link = { path: at, target };
    if (resolveLinks(at) === null) break;
  }
  return link;
}
