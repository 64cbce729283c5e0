import type { AppSpec } from './app-spec.ts';

/** A path, or null where nothing is kept. */
export interface LogPaths {
  readonly out: string | null;
  readonly error: string | null;
  readonly combined: string | null;
}

/**
 * The files of one instance. Its id goes before the extension, unless the app's instances share their files or it is
 * the first instance in fork mode, which is mostly the only one.
 */
export function logPaths({ logs, mode }: AppSpec, slot: { readonly id: number; readonly index: number }): LogPaths {
  const shared = logs.merge || (mode === 'fork' && slot.index === 0);
  const own = (path: string | null): string | null => {
    if (path === null || path.startsWith('/dev/') || shared) return path;
    const dot = path.lastIndexOf('.');
    return dot > path.lastIndexOf('/') + 1
      ? `${path.slice(0, dot)}-${slot.id}${path.slice(dot)}`
      : `${path}-${slot.id}`;
  };
  return { out: own(logs.out), error: own(logs.error), combined: logs.combined };
}
