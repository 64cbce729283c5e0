import assert from 'node:assert/strict';
import { chmodSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Context } from '../../src/cli/command.ts';
import { COMMANDS } from '../../src/cli/commands.ts';
import { parseAndRun } from '../../src/cli/parse.ts';
import { runCommandLine } from '../../src/cli/run.ts';
import type { Client } from '../../src/client/client.ts';
import { resolveHome } from '../../src/protocol/home.ts';
import { turn } from '../fakes/ports.ts';
import { corpusOf, scratchFolder, type Target } from './campaign.ts';
import { BoxedDaemon } from './daemon-in-a-box.ts';
import { mutateText } from './mutations.ts';
import type { Random } from './random.ts';

/** Commands that leave the machine alone when their daemon is a boxed one. */
const HARMLESS: ReadonlySet<string> = new Set(
  (
    'start restart reload stop delete scale reset sendSignal startOrRestart startOrReload list jlist prettylist ' +
    'describe id pid env logs ping kill plan apply rollback save resurrect cleardump'
  ).split(' '),
);
const OTHERS: ReadonlySet<string> = new Set(
  COMMANDS.filter(({ name }) => !HARMLESS.has(name)).flatMap(({ name, aliases = [] }) => [name, ...aliases]),
);

/** A daemon gets that many command lines before the next one comes. */
const LINES_OF_ONE = 30;
/** What waits for the clock by then would wait for ever. */
const MOST_TURNS = 60;

/** Command lines, with a daemon to talk to. */
export function argsTarget(): Target<readonly string[]> & { readonly end: () => void } {
  const folder = scratchFolder();
  const ecosystem = JSON.stringify({ apps: [{ name: 'api', script: 'app.js', instances: 2 }, { script: 'run.sh' }] });
  writeFileSync(join(folder, 'ecosystem.json'), ecosystem);
  for (const name of ['app.js', 'run.sh']) {
    writeFileSync(join(folder, name), '');
    chmodSync(join(folder, name), 0o755);
  }
  const corpus = corpusOf('args').flatMap(({ bytes }) =>
    bytes
      .toString('utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => line.match(/"[^"]*"|\S+/g)?.map((word) => word.replaceAll('"', '')) ?? []),
  );
  const words = [...new Set(corpus.flat())];
  let box = new BoxedDaemon();
  let lines = 0;
  return {
    name: 'args',
    corpus,
    mutate: (random, argv) => mutateArgs(random, argv, corpus, words),
    check: async (argv) => {
      if (++lines % LINES_OF_ONE === 0) {
        box.end();
        box = new BoxedDaemon();
      }
      const { code, said } = await run(argv, box, folder, ecosystem);
      assert.ok([0, 1, 2, 130].includes(code), `exit code ${code}: ${said.join('\n')}`);
      if (code !== 0)
        assert.ok(
          said.some((line) => line.trim() !== ''),
          'a failure says why',
        );
    },
    end: () => {
      box.end();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function run(
  given: readonly string[],
  box: BoxedDaemon,
  folder: string,
  stdin: string,
): Promise<{ code: number; said: readonly string[] }> {
  const said: string[] = [];
  const clients: Client[] = [];
  const interrupt = new AbortController();
  const dashes = given.indexOf('--');
  const connect = async (): Promise<Client> => {
    const client = box.client();
    clients.push(client);
    return client;
  };
  const context: Context = {
    home: resolveHome({ UPKEEP_HOME: folder }),
    env: { PATH: '/usr/bin:/bin', HOME: '/' },
    cwd: folder,
    cpus: () => 4,
    execPath: process.execPath,
    program: join(folder, 'upkeep.cjs'),
    version: '0.0.0-test',
    rest: dashes === -1 ? [] : given.slice(dashes + 1),
    out: {
      data: (text) => said.push(text),
      bytes: (bytes) => said.push(bytes.toString()),
      note: () => {},
      problem: (text) => said.push(text),
      status: () => {},
      isTerminal: false,
    },
    stdin: async () => stdin,
    importModule: (specifier) => import(specifier),
    connect,
    connectRunning: connect,
    connectToEnd: connect,
    readStatus: () => null,
    signal: interrupt.signal,
  };
  const argv = dashes === -1 ? given : given.slice(0, dashes);
  const progress = { ended: false };
  const running = runCommandLine(argv, context, COMMANDS, parseAndRun);
  const end = (): void => {
    progress.ended = true;
  };
  running.then(end, end);
  for (let turns = 0; turns < MOST_TURNS && !progress.ended; turns++) await turn();
  if (!progress.ended) interrupt.abort();
  const closeAll = (): void => {
    for (const client of clients.splice(0)) client.close();
  };
  closeAll();
  const code = await running;
  // It may have connected again meanwhile.
  closeAll();
  return { code, said };
}

function mutateArgs(
  random: Random,
  argv: readonly string[],
  corpus: readonly (readonly string[])[],
  words: readonly string[],
): readonly string[] {
  const mutated = [...argv];
  for (let left = 1 + random.below(3); left > 0; left--) {
    const at = random.below(mutated.length + 1);
    switch (random.below(6)) {
      case 0:
        mutated.splice(at, 1);
        break;
      case 1:
        mutated.splice(at, 0, random.pick(words));
        break;
      case 2:
        mutated.splice(at, 0, ...random.pick(corpus).slice(1));
        break;
      case 3:
        mutated.splice(at, 1, random.pick(words));
        break;
      default:
        mutated.splice(at, 1, mutateText(random, mutated[at] ?? '', words));
    }
  }
  const safe = mutated.map(withinFolder);
  // It follows them for ever.
  if (safe.some((word) => word === 'logs' || word === 'log')) safe.push('--nostream');
  return safe.some((word) => OTHERS.has(word)) ? argv : safe;
}

/** No argument of a process holds a null character; and no path leads out of the folder. */
function withinFolder(word: string): string {
  return word
    .replaceAll('\0', '')
    .replaceAll('..', '.')
    .replace(/^\/+(?!.+\/[a-z]*$)/, '');
}
