import { accessSync, closeSync, constants, openSync, readSync, realpathSync, type Stats, statSync } from 'node:fs';
import { basename, delimiter, extname, join, resolve } from 'node:path';
import type { ProgramSpec } from '../domain/app-spec.ts';
import { UpkeepError } from '../protocol/errors.ts';
import type { AppOptions } from './options.ts';

const NODE_EXTENSIONS = new Set(['.js', '.cjs', '.mjs', '.ts', '.cts', '.mts']);

/** Interpreters by extension, the first that is found. */
const INTERPRETERS: Readonly<Record<string, readonly string[]>> = {
  '.sh': ['bash', 'sh'],
  '.py': ['python3', 'python'],
  '.rb': ['ruby'],
  '.php': ['php'],
  '.pl': ['perl'],
};

/** Programs that only start another one, so that workers would never reach the app. */
const WRAPPERS =
  /^(npm|npx|yarn|pnpm|pnpx|bunx|cross-env|env-cmd|dotenv|tsx|ts-node|ts-node-dev|nodemon)(-cli)?(\.[cm]?js)?$/;

/** Of those that run a script themselves: what makes Node.js do it. */
const LOADERS: Readonly<Record<string, string>> = {
  tsx: '--import tsx',
  'ts-node': '--require ts-node/register',
  'ts-node-dev': '--require ts-node/register',
};

/** Has Node.js show places of the sources. */
const SOURCE_MAPS = '--enable-source-maps';

export interface ProgramContext {
  readonly cwd: string;
  /** The environment in which programs are looked up. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The Node.js to fall back on where PATH has none. */
  readonly execPath: string;
  readonly cluster: ClusterWish;
}

/** `if-node`: instances were asked for, which makes a cluster of a Node.js app and copies of any other. */
export type ClusterWish = 'yes' | 'no' | 'if-node';

/**
 * Finds out how a script is run.
 * @throws UpkeepError SCRIPT_NOT_FOUND, INTERPRETER_NOT_FOUND, or NOT_CLUSTERABLE for what cannot be a Node.js worker.
 */
export function resolveProgram(options: AppOptions, context: ProgramContext): ProgramSpec {
  const { script: given = '', args = [], interpreter_args: interpreterArgs = [] } = options;
  const script = findScript(given, context);
  if (script === null) return shellCommand(given, args, options, context);

  const { name: interpreter, wrapper } = chooseInterpreter(script, options.interpreter);
  if (context.cluster !== 'no' && wrapper) throw onlyStarts(given);
  if (context.cluster !== 'no' && interpreter !== null && WRAPPERS.test(basename(interpreter)))
    throw onlyStarts(interpreter);
  if (context.cluster === 'yes' && (interpreter === null || !isNode(interpreter))) {
    const what = interpreter === null ? `${given} is not one` : `${interpreter} is not Node.js`;
    throw notClusterable(what, 'leave out exec_mode to run it in fork mode');
  }
  const { cwd } = context;
  if (interpreter === null) {
    if (!isExecutable(script))
      throw new UpkeepError('SCRIPT_NOT_FOUND', `${script} is not executable`, {
        hint: `chmod +x ${script}, or name an --interpreter`,
      });
    requireShebang(script, context);
    return { script, exec: script, runtime: 'other', interpreterArgs, args, cwd, release: null };
  }
  const exec = findInterpreter(interpreter, context);
  if (!isNode(interpreter)) return { script, exec, runtime: 'other', interpreterArgs, args, cwd, release: null };
  const maps = options.source_map_support === true && !interpreterArgs.includes(SOURCE_MAPS) ? [SOURCE_MAPS] : [];
  return { script, exec, runtime: 'node', interpreterArgs: [...interpreterArgs, ...maps], args, cwd, release: null };
}

/** @returns the name that an app gets where none is given. */
export function defaultName(script: string): string {
  const [first = script] = script.includes('/') ? [script] : script.split(/\s+/);
  const base = basename(first);
  return base.slice(0, base.length - extname(base).length) || base;
}

/** A file, or else a program on PATH. @returns null for what can only be a command line. */
function findScript(given: string, { cwd, env }: ProgramContext): string | null {
  const path = resolve(cwd, given);
  const stat = statOf(path);
  if (stat?.isFile()) return path;
  if (/\s/.test(given.trim())) return null;
  const onPath = given.includes('/') ? null : lookUp(given, env['PATH']);
  if (onPath !== null) return onPath;
  const what = stat?.isDirectory() ? 'is a folder, not a script' : 'does not exist';
  const also = given.includes('/') || extname(given) !== '' ? '' : ', and no program of that name is on PATH';
  throw new UpkeepError('SCRIPT_NOT_FOUND', `script not found: ${path} ${what}${also}`);
}

/** null for what cannot be there, as a name that is too long, too. */
export function statOf(path: string): Stats | null {
  try {
    return statSync(path);
  } catch {
    return null;
  }
}

function shellCommand(
  line: string,
  args: readonly string[],
  options: AppOptions,
  context: ProgramContext,
): ProgramSpec {
  if (context.cluster === 'yes')
    throw notClusterable('a command line cannot be a cluster', 'name the Node.js script itself');
  const [program = ''] = line.trim().split(/\s+/);
  if (context.cluster === 'if-node' && WRAPPERS.test(basename(program))) throw onlyStarts(program);
  const shell = findInterpreter(options.interpreter ?? (lookUp('bash', context.env['PATH']) ? 'bash' : 'sh'), context);
  const script = [line, ...args.map(quote)].join(' ');
  return { script, exec: shell, runtime: 'other', interpreterArgs: ['-c'], args: [], cwd: context.cwd, release: null };
}

/** @returns the interpreter, or null to execute the script itself. */
function chooseInterpreter(script: string, given: string | undefined): { name: string | null; wrapper: boolean } {
  const real = realpathSync(script);
  const shebang = readShebang(script);
  const shellBin = /\/node_modules\/\.bin\//.test(script) && /\b(ba|da|z)?sh$/.test(shebang ?? '');
  const wrapper = WRAPPERS.test(basename(script)) || WRAPPERS.test(basename(real)) || shellBin;
  if (given === 'none') return { name: null, wrapper };
  if (given !== undefined) return { name: given, wrapper };
  if (wrapper && isExecutable(script)) return { name: null, wrapper };

  const extension = extname(real);
  if (NODE_EXTENSIONS.has(extension)) return { name: 'node', wrapper };
  const [known] = INTERPRETERS[extension] ?? [];
  if (known !== undefined) return { name: known, wrapper };
  if (shebang !== null && isNode(shebang)) return { name: 'node', wrapper };
  // As pm2 does: a text of no known kind is taken for a Node.js script.
  return { name: isExecutable(script) || readHead(script).includes('\0') ? null : 'node', wrapper };
}

function findInterpreter(name: string, { cwd, env, execPath }: ProgramContext): string {
  if (name.includes('/')) {
    const path = resolve(cwd, name);
    if (isExecutable(path)) return path;
    throw new UpkeepError('INTERPRETER_NOT_FOUND', `interpreter not found: ${path} is not an executable file`);
  }
  const [first, ...others] = Object.values(INTERPRETERS).find(([main]) => main === name) ?? [name];
  for (const candidate of [first as string, ...others]) {
    const found = lookUp(candidate, env['PATH']);
    if (found !== null) return found;
  }
  if (name === 'node') return execPath;
  throw new UpkeepError('INTERPRETER_NOT_FOUND', `interpreter not found: ${name} is not on PATH`);
}

function lookUp(program: string, path = ''): string | null {
  const folders = path.split(delimiter).filter((folder) => folder !== '');
  return folders.map((folder) => join(folder, program)).find(isExecutable) ?? null;
}

function isNode(interpreter: string): boolean {
  return /^(node|nodejs)(-?\d+(\.\d+)*)?$/.test(basename(interpreter));
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** @returns the program that the first line names, without folders and `env`. */
function readShebang(script: string): string | null {
  const { path = '', ofEnv } = /^#!\s*(?<path>\S+)(?:\s+(?:-S\s+)?(?<ofEnv>\S+))?/.exec(readHead(script))?.groups ?? {};
  if (path === '') return null;
  return basename(path) === 'env' ? (ofEnv ?? null) : basename(path);
}

/** @throws UpkeepError INTERPRETER_NOT_FOUND for a script whose first line names a program that is not there. */
function requireShebang(script: string, { env }: ProgramContext): void {
  const [line = ''] = readHead(script).split('\n');
  const { path = '', ofEnv } =
    /^#![ \t]*(?<path>\/[^ \t]*)(?:[ \t]+(?<ofEnv>\w[\w.+-]*\r?)$)?/.exec(line)?.groups ?? {};
  if (path === '') return;
  const word = basename(path) === 'env' ? ofEnv : undefined;
  const isThere = statOf(path) !== null && (word === undefined || lookUp(word, env['PATH']) !== null);
  if (isThere) return;
  const named = word ?? path;
  const hint = named.endsWith('\r')
    ? 'its lines end with CR LF: convert them to LF'
    : 'install it, or name an --interpreter';
  const message = `${script} cannot be run: its first line names ${JSON.stringify(named)}, which is not there`;
  throw new UpkeepError('INTERPRETER_NOT_FOUND', message, { hint });
}

/** The beginning of a file, enough to tell what it is. */
function readHead(script: string): string {
  const head = Buffer.alloc(256);
  let fd: number | null = null;
  try {
    fd = openSync(script, 'r');
    return head.toString('utf8', 0, readSync(fd, head, 0, head.length, 0));
  } catch {
    return '';
  } finally {
    if (fd !== null) closeSync(fd);
  }
}

function notClusterable(what: string, hint: string): UpkeepError {
  return new UpkeepError('NOT_CLUSTERABLE', `cluster mode needs a Node.js script: ${what}`, { hint });
}

function onlyStarts(program: string): UpkeepError {
  return notClusterable(`${program} only starts another program`, wrapperHint(program));
}

function wrapperHint(given: string): string {
  const loader = LOADERS[basename(given)];
  if (loader !== undefined)
    return `leave it out, and load it into the workers with --node-args "${loader}"; in fork mode, without -i, it works`;
  const inside = given.includes('.bin/')
    ? ', found in the package that it belongs to'
    : ', the one that the npm script runs';
  return `name the JavaScript file that is run in the end${inside}; in fork mode, without -i, ${basename(given)} works`;
}

/** A word as a shell takes it. */
export function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
