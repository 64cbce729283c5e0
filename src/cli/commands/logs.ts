import { type FSWatcher, watch } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { accessProblem } from '../../logs/access.ts';
import { type Beginning, LogFollower } from '../../logs/follow.ts';
import { LogSnapshot } from '../../logs/log-snapshot.ts';
import { mergeLines, mergeStreams } from '../../logs/merge.ts';
import type { LogLine } from '../../logs/read-lines.ts';
import type { Context, Output, Run } from '../command.ts';
import { isTerminal } from '../is-terminal.ts';
import { type LogQuery, readQuery } from '../log-query.ts';
import { findSources, groupOf, type LogSource } from '../log-sources.ts';
import { watchReader } from '../reader-gone.ts';
import { linePrinter, type SourceLine } from '../render/log-lines.ts';
import { plain } from '../render/plain.ts';

/** Instances that were added meanwhile are found, and changes that the system does not report are read, this often. */
const LOOK_AGAIN_MS = 1000;
/** What is written at about the same time is read together, when its times are known. */
const SETTLE_MS = 60;

export const logs: Run = async (context, targets, options) => {
  // A terminal takes texts only.
  const asBytes = options['raw'] === true && !isTerminal(1);
  const query = readQuery(options, Date.now(), asBytes ? 'latin1' : 'utf8');
  for (const note of query.notes) context.out.note(note);
  const print = await linePrinter(options);
  const selectors = targets.length > 0 ? targets : ['all'];
  const { sources, without } = await findSources(await context.connect(), selectors, query);
  if (targets.length > 0 || sources.length === 0) for (const why of without) context.out.note(why);
  const filtered = options['grep'] !== undefined || options['level'] !== undefined;
  const show: Show = asBytes
    ? bytesShower(context.out, !filtered)
    : (lines) => {
        if (lines.length > 0) context.out.data(lines.map(print).join('\n'));
      };
  const problems = new Set<string>();
  const onUnreadable = (path: string, error: unknown): void => {
    const problem = accessProblem('read', path, error);
    if (!problems.has(problem)) context.out.problem(`upkeep: ${plain(problem)}`);
    problems.add(problem);
  };
  const taken = sources.map((source) => ({
    source,
    snapshot: new LogSnapshot(source.path, query.follow, onUnreadable),
  }));
  const followed = await showPast(taken, query, show, context.signal);
  if (!query.follow) return problems.size === 0 ? 0 : 1;
  if (sources.length === 0) {
    if (targets.length > 0 && without.length > 0) return 0;
    context.out.note('waiting for logs: none are kept so far');
  }
  const follow = new Follow(context, selectors, query, show);
  for (const [source, beginning] of followed) follow.add(source, beginning);
  await follow.run();
  return 0;
};

type Show = (lines: readonly SourceLine[]) => void;

/**
 * Shows the bytes of lines that were read as latin1.
 * @param joins puts the pieces of a line together: none of them is left out.
 */
function bytesShower(out: Output, joins: boolean): Show {
  /** The log of a line that has not ended. */
  let open: string | null = null;
  return (lines) => {
    let text = '';
    for (const line of lines) {
      if (open !== null && open !== line.source.path) text += '\n';
      open = joins && line.cut ? line.source.path : null;
      text += open === null ? `${line.text}\n` : line.text;
    }
    if (text !== '') out.bytes(Buffer.from(text, 'latin1'));
  };
}

interface Taken {
  readonly source: LogSource;
  readonly snapshot: LogSnapshot;
}

/** @returns where what comes next begins. */
async function showPast(
  snapshots: readonly Taken[],
  query: LogQuery,
  show: Show,
  signal: AbortSignal,
): Promise<readonly (readonly [LogSource, Beginning])[]> {
  try {
    if (query.count === null) {
      for await (const lines of mergeStreams(snapshots.map((each) => linesOf(each, query)))) {
        if (signal.aborted) break;
        show(lines);
      }
    } else {
      const groups = new Map<string, readonly SourceLine[]>();
      for (const { source, snapshot } of snapshots) {
        const lines = sourced(source, await snapshot.tail(query.count, query.wanted));
        const others = groups.get(groupOf(source)) ?? [];
        const last = query.count === 0 ? [] : mergeLines([others, lines]).slice(-query.count);
        groups.set(groupOf(source), last);
      }
      show(mergeLines([...groups.values()]));
    }
    return snapshots.map(({ source, snapshot }) => [source, snapshot.end ?? { since: snapshot.takenAt }] as const);
  } finally {
    for (const { snapshot } of snapshots) snapshot.close();
  }
}

async function* linesOf({ source, snapshot }: Taken, { wanted }: LogQuery): AsyncGenerator<readonly SourceLine[]> {
  for await (const lines of snapshot.lines(wanted)) yield sourced(source, lines);
}

function sourced(source: LogSource, lines: readonly LogLine[]): readonly SourceLine[] {
  return lines.map(({ time, text, cut }) => ({ time, text, cut, source }));
}

/** Shows what comes, until it is interrupted. */
class Follow {
  readonly #context: Context;
  readonly #selectors: readonly string[];
  readonly #query: LogQuery;
  readonly #show: Show;
  readonly #startedAt = Date.now();
  readonly #followers = new Map<string, { readonly source: LogSource; readonly follower: LogFollower }>();
  readonly #watchers = new Map<string, FSWatcher>();
  #changed: () => void = () => {};
  #readerGone = false;

  constructor(context: Context, selectors: readonly string[], query: LogQuery, show: Show) {
    this.#context = context;
    this.#selectors = selectors;
    this.#query = query;
    this.#show = show;
  }

  add(source: LogSource, beginning: Beginning): void {
    const onMissed = (): void => {
      this.#context.out.problem(`upkeep: a part of ${source.path} was removed before it could be shown`);
    };
    this.#followers.set(source.path, {
      source,
      follower: new LogFollower(source.path, beginning, onMissed, this.#query.wanted.encoding),
    });
  }

  async run(): Promise<void> {
    const { signal } = this.#context;
    const endWatch = watchReader(() => {
      this.#readerGone = true;
      this.#changed();
    });
    try {
      const until = this.#query.wanted.until ?? Number.POSITIVE_INFINITY;
      for (let lookAt = 0; !signal.aborted && !this.#readerGone && Date.now() <= until; ) {
        if (Date.now() >= lookAt) {
          await this.#lookAgain();
          lookAt = Date.now() + LOOK_AGAIN_MS;
        }
        const changed = this.#nextChange(lookAt - Date.now());
        this.#readAll();
        await changed;
        await sleep(SETTLE_MS, null, { signal }).catch(() => {});
      }
    } finally {
      endWatch();
      for (const watcher of this.#watchers.values()) watcher.close();
      for (const { follower } of this.#followers.values()) follower.close();
    }
  }

  #readAll(): void {
    const { wanted } = this.#query;
    const lists = [...this.#followers.values()].map(({ source, follower }) => sourced(source, follower.read()));
    // Much at once is shown in parts: more is read when the first is out.
    if (lists.some((lines) => lines.length > 0)) this.#changed();
    const until = wanted.until ?? Number.POSITIVE_INFINITY;
    this.#show(mergeLines(lists).filter(({ time, text }) => time <= until && wanted.matches(text)));
  }

  /** New instances; without the daemon the files go on: it will be back. */
  async #lookAgain(): Promise<void> {
    const found = await this.#context
      .connectRunning()
      .then((client) => findSources(client, this.#selectors, this.#query))
      .catch(() => null);
    for (const source of found?.sources ?? [])
      if (!this.#followers.has(source.path)) this.add(source, { since: this.#startedAt });
    for (const folder of new Set([...this.#followers.keys()].map((path) => dirname(path)))) {
      if (this.#watchers.has(folder)) continue;
      try {
        const watcher = watch(folder, () => this.#changed());
        this.#watchers.set(
          folder,
          watcher.on('error', () => {}),
        );
      } catch {
        // Not there, or no watches left: it is read now and then.
      }
    }
  }

  /** Until the next change, or an interruption; for this time at most. */
  #nextChange(ms: number): Promise<void> {
    const { signal } = this.#context;
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        this.#changed = () => {};
        resolve();
      };
      const timer = setTimeout(done, ms);
      signal.addEventListener('abort', done);
      this.#changed = done;
      if (signal.aborted) done();
    });
  }
}
