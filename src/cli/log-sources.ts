import type { Client } from '../client/client.ts';
import type { AppView } from '../protocol/messages.ts';
import { trustedPath } from '../protocol/trusted-path.ts';
import type { LogQuery } from './log-query.ts';
import { plain } from './render/plain.ts';

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

/** Which streams of instances are meant. */
type Streams = Pick<LogQuery, 'out' | 'err'>;

export interface FoundSources {
  /** The logs of instances, each once. */
  readonly sources: readonly LogSource[];
  /** Why there never is anything to show of an app, a text for each such one. */
  readonly without: readonly string[];
}

export async function findSources(
  client: Client | null,
  selectors: readonly string[],
  streams: Streams,
): Promise<FoundSources> {
  if (!client) return { sources: [], without: [] };
  // Of nothing, all is nothing.
  if (selectors[0] === 'all' && (await client.call('list', {})).length === 0) return { sources: [], without: [] };
  const apps = await client.call('describe', { selectors });
  const found = new Map<string, LogSource>();
  for (const source of apps.flatMap((app) => sourcesOf(app, streams))) {
    const known = found.get(source.path);
    found.set(source.path, known ? { ...known, id: known.id === source.id ? known.id : null } : source);
  }
  const without = apps
    .filter((app) => app.instances.length > 0 && sourcesOf(app, streams).length === 0)
    .map((app) => whyNone(app, streams));
  return { sources: [...found.values()], without };
}

function whyNone({ app: { spec }, instances }: AppView, streams: Streams): string {
  const paths = instances.flatMap(({ logs: { out, error, combined } }) => [
    ...(streams.out ? [out] : []),
    ...(streams.err ? [error] : []),
    combined,
  ]);
  // Of what is there, nothing can be read again.
  const devices = [...new Set(paths.filter((path) => path !== null && path !== '/dev/null'))];
  const what = streams.out && streams.err ? 'logs' : `log of ${streams.out ? 'stdout' : 'stderr'}`;
  const why = devices.length > 0 ? `they go to ${devices.join(', ')}` : 'disable_logs, or /dev/null';
  const journal = spec.logs.journald ? `; \`journalctl -t ${spec.name}-${instances[0]?.id}\` has them` : '';
  return plain(`${spec.name} keeps no ${what} (${why})${journal}`);
}

function sourcesOf({ app, instances }: AppView, { out: wantsOut, err: wantsErr }: Streams): readonly LogSource[] {
  const { name, uid } = app.spec;
  return instances.flatMap(({ id, logs: { out, error, combined } }): LogSource[] => {
    const source = (path: string | null, stream: LogSource['stream']): LogSource[] =>
      path === null || path.startsWith('/dev/') ? [] : [{ path: realLog(path, uid), app: name, id, stream }];
    if (out === error && wantsOut && wantsErr) return source(out, 'both');
    const own = [...(wantsOut ? source(out, 'out') : []), ...(wantsErr ? source(error, 'err') : [])];
    // Where there is nothing else.
    return own.length > 0 ? own : source(combined, 'both');
  });
}

/** A link that is not trusted is shown as what it is: no file. */
function realLog(path: string, appUid: number | null): string {
  try {
    return trustedPath(path, appUid);
  } catch {
    return path;
  }
}
