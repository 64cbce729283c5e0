import { readFileSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { UpkeepError } from '../protocol/errors.ts';
import { plainData } from './plain-data.ts';
import { statOf } from './program.ts';
import { brief, type ReadApp, readApp } from './read-app.ts';

export interface EcosystemApp extends ReadApp {
  /** Names the app in messages. */
  readonly where: string;
}

export interface Ecosystem {
  readonly apps: readonly EcosystemApp[];
  /** Relative paths of the apps start here. */
  readonly folder: string;
}

type ImportModule = (specifier: string) => Promise<unknown>;

/** Whether a target is a configuration file by its name. */
export function isEcosystemPath(target: string): boolean {
  return /\.(json|ya?ml)$/.test(target) || /\.config\.(js|cjs|mjs)$/.test(target);
}

/** @throws UpkeepError CONFIG_INVALID with the place and the cause. */
export async function loadEcosystem(
  path: string,
  importModule: ImportModule = (specifier) => import(specifier),
): Promise<Ecosystem> {
  const file = resolve(path);
  if (!statOf(file)?.isFile()) {
    throw new UpkeepError('CONFIG_INVALID', `there is no file ${file}`, { hint: 'check the path' });
  }
  return readEcosystem(await evaluate(file, importModule), basename(file), dirname(file));
}

/** Reads an ecosystem from JSON, as it comes on stdin. */
export function parseEcosystem(json: string, name: string, folder: string): Ecosystem {
  return readEcosystem(parseWith(JSON.parse, json, name), name, folder);
}

function readEcosystem(content: unknown, name: string, folder: string): Ecosystem {
  const list = parseWith((given: unknown) => Array.from(appList(given), (app) => plainData(app)), content, name);
  if (list.length === 0)
    throw new UpkeepError('CONFIG_INVALID', `${name}: expected a list "apps" with at least one app`);
  const apps = list.map((raw, index) => {
    const label = (raw as { name?: unknown } | null)?.name;
    const where = `${name}, app ${typeof label === 'string' ? `"${brief(label)}"` : index + 1}`;
    return { ...readApp(raw, where), where };
  });
  return { apps, folder };
}

function appList(content: unknown): readonly unknown[] {
  if (Array.isArray(content)) return content;
  if (typeof content !== 'object' || content === null) return [];
  const { apps, pm2, default: inner } = content as { apps?: unknown; pm2?: unknown; default?: unknown };
  const list = apps ?? pm2;
  if (Array.isArray(list)) return list;
  if (list !== undefined) return [list];
  if (inner !== undefined) return appList(inner);
  return 'script' in content || 'cmd' in content || 'exec' in content || 'command' in content ? [content] : [];
}

async function evaluate(file: string, importModule: ImportModule): Promise<unknown> {
  const name = basename(file);
  if (/\.(c|m)?js$/.test(file)) {
    try {
      return await importModule(pathToFileURL(file).href);
    } catch (cause) {
      throw new UpkeepError('CONFIG_INVALID', `${name} cannot be loaded: ${firstLines(cause)}`, { cause });
    }
  }
  const text = readFileSync(file, 'utf8');
  if (file.endsWith('.json')) return parseWith(JSON.parse, text, name);
  const yaml = (await importModule('yaml')) as typeof import('yaml');
  return parseWith((given) => parseYaml(yaml, given), text, name);
}

/** What is nested thousands of levels deep takes the parser minutes. */
const MOST_BRACKETS = 500;

function parseYaml(yaml: typeof import('yaml'), text: string): unknown {
  let open = 0;
  for (const [bracket] of text.matchAll(/[[\]{}]/g)) {
    open += bracket === '[' || bracket === '{' ? 1 : -1;
    if (open > MOST_BRACKETS) throw new Error(`more than ${MOST_BRACKETS} brackets are open at a time`);
  }
  return yaml.parse(text, { logLevel: 'error' });
}

function parseWith<T, R>(parse: (given: T) => R, given: T, name: string): R {
  try {
    return parse(given);
  } catch (cause) {
    throw new UpkeepError('CONFIG_INVALID', `${name} cannot be read: ${(cause as Error).message}`, { cause });
  }
}

/** A syntax error's stack starts with the place, which its message lacks. */
function firstLines(cause: unknown): string {
  const { stack = String(cause), message = '' } = cause as Partial<Error>;
  const lines = stack.split('\n').filter((line) => !/^\s+at /.test(line) && line.trim() !== '');
  return lines.length > 0 ? lines.slice(0, 5).join('\n  ') : message;
}
