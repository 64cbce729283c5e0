import { type FSWatcher, watch } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '../../client/client.ts';
import { FileFollower } from '../../logs/follow.ts';
import { readTail } from '../../logs/tail.ts';
import { UpkeepError } from '../../protocol/errors.ts';
import type { AppView } from '../../protocol/messages.ts';
import type { Context, Options, Run } from '../command.ts';
import { green, red } from '../render/colours.ts';
import { plain } from '../render/plain.ts';

const DEFAULT_LINES = 15;
/** Instances that were added meanwhile are found, and changes that the system does not report are read, this often. */
const LOOK_AGAIN_MS = 1000;

interface Source {
  readonly path: string;
  readonly print: (line: string) => void;
}

export const logs: Run = async (context, targets, options) => {
  const count = lineCount(options['lines']);
  const selectors = targets.length > 0 ? targets : ['all'];
  const sources = await findSources(context, await context.connect(), selectors, options);
  const followers = new Map<string, FileFollower>();
  for (const { path, print } of sources) {
    const { lines, end } = readTail(path, count);
    for (const line of lines) print(line);
    followers.set(path, new FileFollower(path, end, print));
  }
  if (options['nostream']) return 0;
  if (sources.length === 0) context.out.note('nothing is logged yet; waiting');
  await follow(context, selectors, options, followers);
  return 0;
};

function lineCount(given: unknown): number {
  if (given === undefined) return DEFAULT_LINES;
  if (typeof given === 'string' && /^\d+$/.test(given)) return Number(given);
  throw new UpkeepError('USAGE', `--lines takes a number, got ${JSON.stringify(given)}`);
}

async function findSources(
  context: Context,
  client: Client | null,
  selectors: readonly string[],
  options: Options,
): Promise<Source[]> {
  if (!client) return [];
  if (selectors[0] === 'all' && (await client.call('list', {})).length === 0) return [];
  const apps = await client.call('describe', { selectors });
  const found = new Map<string, Source>();
  for (const app of apps) for (const source of appSources(context, app, options)) found.set(source.path, source);
  return [...found.values()];
}

function appSources({ out }: Context, { app, instances }: AppView, options: Options): Source[] {
  const both = !options['out'] && !options['err'];
  return instances.flatMap(({ id, logs: { out: outPath, error } }) => {
    const prefix = plain(`${id}|${app.spec.name}`);
    const printer = (colour: (text: string) => string) => (line: string) =>
      out.data(options['raw'] ? line : `${colour(`${prefix} |`)} ${line}`);
    return [
      ...(outPath !== null && (both || options['out']) ? [{ path: outPath, print: printer(green) }] : []),
      ...(error !== null && error !== outPath && (both || options['err'])
        ? [{ path: error, print: printer(red) }]
        : []),
    ];
  });
}

async function follow(
  context: Context,
  selectors: readonly string[],
  options: Options,
  followers: Map<string, FileFollower>,
): Promise<void> {
  const watchers = new Map<string, FSWatcher>();
  const readAll = () => {
    for (const follower of followers.values()) follower.read();
  };
  const watchFolders = () => {
    for (const folder of new Set([...followers.keys()].map((path) => dirname(path)))) {
      if (watchers.has(folder)) continue;
      try {
        watchers.set(
          folder,
          watch(folder, readAll).on('error', () => {}),
        );
      } catch {
        // Not there, or no watches left: it is looked at again below.
      }
    }
  };
  try {
    while (!context.signal.aborted) {
      watchFolders();
      readAll();
      await sleep(LOOK_AGAIN_MS, null, { signal: context.signal }).catch(() => {});
      // Without the daemon the files go on: it will be back.
      const sources = await context
        .connectRunning()
        .then((client) => findSources(context, client, selectors, options))
        .catch(() => []);
      for (const { path, print } of sources)
        if (!followers.has(path)) followers.set(path, new FileFollower(path, 0, print));
    }
  } finally {
    for (const watcher of watchers.values()) watcher.close();
    for (const follower of followers.values()) follower.close();
  }
}
