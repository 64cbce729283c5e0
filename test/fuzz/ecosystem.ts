import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { appsFromFile } from '../../src/cli/apps-from-file.ts';
import type { Context } from '../../src/cli/command.ts';
import { UpkeepError } from '../../src/protocol/errors.ts';
import { resolveHome } from '../../src/protocol/home.ts';
import { daemonParams, validate } from '../../src/protocol/schema.ts';
import { corpusOf, scratchFolder, type Target } from './campaign.ts';
import { mutateJson, mutateText, mutateValue } from './mutations.ts';
import type { Random } from './random.ts';

/** A file of apps: its text, or what a JavaScript file exports. */
export type EcosystemFile =
  | { readonly kind: 'json' | 'yaml'; readonly text: string }
  | { readonly kind: 'module'; readonly exported: unknown };

/** What a file of JavaScript can export, and JSON cannot hold. */
const STRANGE: readonly (() => unknown)[] = [
  () => undefined,
  () => Symbol('s'),
  () => 10n,
  () => Number.NaN,
  () => Number.POSITIVE_INFINITY,
  () => () => 'app.js',
  () => Map,
  () => new Date(0),
  () => new Date(Number.NaN),
  () => /a/g,
  () => new Map([['script', 'app.js']]),
  () => new Set(['app.js']),
  () => Buffer.from('app.js'),
  () => Object('app.js') as unknown,
  () => Object.create(null) as unknown,
  () => Object.assign(Object.create(null) as object, { script: 'app.js', env: { A: 1n } }),
  () => Promise.resolve('app.js'),
  () => new Error('no'),
  () => Object.assign([], { length: 3 }),
  () => {
    const circle: Record<string, unknown> = { script: 'app.js' };
    circle['env'] = circle;
    return circle;
  },
  () => ({
    get script() {
      throw new Error('a getter that throws');
    },
  }),
  () => ({ toString: null, valueOf: null, toJSON: () => undefined }),
  () => ({
    toJSON: () => {
      throw new Error('a toJSON that throws');
    },
  }),
  () =>
    new Proxy(
      {},
      {
        ownKeys: () => {
          throw new Error('a proxy that throws');
        },
      },
    ),
];

const CODES: ReadonlySet<string> = new Set(
  'CONFIG_INVALID SCRIPT_NOT_FOUND INTERPRETER_NOT_FOUND NOT_CLUSTERABLE APP_NOT_FOUND'.split(' '),
);

/** Files of apps, as `start` reads them. */
export function ecosystemTarget(): Target<EcosystemFile> & { readonly end: () => void } {
  const folder = scratchFolder();
  for (const name of ['app.js', 'run.sh', 'http/app.js', 'graceful/app.js', 'languages/counter.py']) {
    mkdirSync(join(folder, name, '..'), { recursive: true });
    writeFileSync(join(folder, name), '');
    chmodSync(join(folder, name), 0o755);
  }
  const files = corpusOf('ecosystem').map(({ file, bytes }): EcosystemFile => {
    if (file.endsWith('.cjs')) return { kind: 'module', exported: createRequire(file)(file) as unknown };
    return { kind: file.endsWith('.json') ? 'json' : 'yaml', text: bytes.toString('utf8') };
  });
  const modules = files.flatMap((file): EcosystemFile[] =>
    file.kind === 'json' ? [{ kind: 'module', exported: JSON.parse(file.text) as unknown }] : [],
  );
  return {
    name: 'ecosystem',
    corpus: [...files, ...modules],
    mutate: (random, file) => mutateFile(random, file, files),
    check: async (file, random) => {
      const path = join(folder, file.kind === 'module' ? 'apps.config.cjs' : `apps.${file.kind}`);
      writeFileSync(path, file.kind === 'module' ? '' : file.text);
      const options = random.chance(0.5) ? { env: random.pick(['production', '__proto__', 'x']) } : {};
      const context = contextOf(folder, file);
      try {
        const specs = await appsFromFile(context, path, options);
        const sent = JSON.parse(JSON.stringify({ specs, existing: 'error' })) as unknown;
        validate(daemonParams.apply, sent, 'what is sent to the daemon');
      } catch (error) {
        if (!(error instanceof UpkeepError)) throw error;
        assert.ok(CODES.has(error.code), `${error.code}: ${error.message}`);
        if (error.code !== 'CONFIG_INVALID') return;
        assert.match(error.message, /^apps\.(json|yaml|config\.cjs)(:|, app .+:| cannot be )/s);
        assert.ok(error.message.length < 20_000, `${error.message.length} characters: ${error.message.slice(0, 300)}`);
      }
    },
    end: () => rmSync(folder, { recursive: true, force: true }),
  };
}

function mutateFile(random: Random, file: EcosystemFile, files: readonly EcosystemFile[]): EcosystemFile {
  if (file.kind === 'module') return { kind: 'module', exported: mutateValue(random, file.exported, STRANGE) };
  const others = files.flatMap((other) => (other.kind === file.kind ? [other.text] : []));
  if (file.kind === 'yaml' || random.chance(0.3)) return { ...file, text: mutateText(random, file.text, others) };
  return { ...file, text: mutateJson(random, file.text) };
}

/** As much of a context as reading a file takes. */
function contextOf(folder: string, file: EcosystemFile): Context {
  const ignore = (): void => {};
  return {
    home: resolveHome({ UPKEEP_HOME: '/home' }),
    env: { PATH: '/usr/bin:/bin', HOME: '/', SECRET: 'x' },
    cwd: folder,
    cpus: () => 4,
    execPath: process.execPath,
    out: { data: ignore, bytes: ignore, note: ignore, problem: ignore, status: ignore, isTerminal: false },
    importModule: async (specifier: string) =>
      file.kind === 'module' ? { default: file.exported } : ((await import(specifier)) as unknown),
  } as unknown as Context;
}
