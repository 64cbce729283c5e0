import type { Client } from '../client/client.ts';
import { realLog } from '../logs/segments.ts';
import type { AppView } from '../protocol/messages.ts';
import type { LogQuery } from './log-query.ts';

/** A log, and whose it is. */
export interface LogSource {
  readonly path: string;
  readonly app: string;
  /** null where instances share the log. */
  readonly id: number | null;
  /** `both` for a log in which they are not told apart. */
  readonly stream: 'out' | 'err' | 'both';
}

/** Whose last lines are counted together. */
export function groupOf({ path, app, id }: LogSource): string {
  return id === null ? path : `${app}\0${id}`;
}

/** The logs of instances, each once. */
export async function findSources(
  client: Client | null,
  selectors: readonly string[],
  query: LogQuery,
): Promise<readonly LogSource[]> {
  if (!client) return [];
  // Of nothing, all is nothing.
  if (selectors[0] === 'all' && (await client.call('list', {})).length === 0) return [];
  const apps = await client.call('describe', { selectors });
  const found = new Map<string, LogSource>();
  for (const source of apps.flatMap((app) => sourcesOf(app, query))) {
    const known = found.get(source.path);
    found.set(source.path, known ? { ...known, id: known.id === source.id ? known.id : null } : source);
  }
  return [...found.values()];
}

function sourcesOf({ app, instances }: AppView, { out: wantsOut, err: wantsErr }: LogQuery): readonly LogSource[] {
  const { name } = app.spec;
  return instances.flatMap(({ id, logs: { out, error, combined } }): LogSource[] => {
    const source = (path: string | null, stream: LogSource['stream']): LogSource[] =>
      path === null || path.startsWith('/dev/') ? [] : [{ path: realLog(path), app: name, id, stream }];
    if (out === error && wantsOut && wantsErr) return source(out, 'both');
    const own = [...(wantsOut ? source(out, 'out') : []), ...(wantsErr ? source(error, 'err') : [])];
    // Where there is nothing else.
    return own.length > 0 ? own : source(combined, 'both');
  });
}
