#!/usr/bin/env node
/**
 * What the user runs: loads the command line with V8's code cache, which halves the time that it takes on top of
 * Node's own start. See docs/adr/0004-code-cache.md.
 */
import {
  constants,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { Script } from 'node:vm';
import { doubled, halved } from '../protocol/doubled.ts';
import { resolveHome } from '../protocol/home.ts';
import { VERSION } from '../protocol/version.ts';

/** The commands of cli/looking-commands.ts, with their other names. */
const LOOKING = /^(list|ls|l|ps|status|jlist|prettylist|ping)$/;

const [, , word = '', ...more] = process.argv;
const name = more.length === 0 && LOOKING.test(word) ? 'looking' : 'cli';
const file = join(__dirname, `${name}.cjs`);
const { mtimeMs, size } = statSync(file);
// Of a package, all files are of one time, and two versions may be of one size.
const build = `${VERSION}-${Math.trunc(mtimeMs)}-${size}`;
const cacheName = `${name}-${build}-${process.version}-${process.arch}.bin`;
const cachedData = readOwn();
// As Node wraps a CommonJS module, with `importModule` besides: code in a vm.Script cannot import by itself.
const parameters = 'exports, require, module, __filename, __dirname, importModule';
const source = `(function (${parameters}) { ${readFileSync(file, 'utf8')}\n})`;
const script = new Script(source, { filename: file, ...(cachedData ? { cachedData } : {}) });
// No `Module` of Node's: it loads the loader of ES modules.
const module_ = { exports: {} };
const run = script.runInThisContext() as (...args: unknown[]) => void;
const importModule = (specifier: string): Promise<unknown> => import(specifier);
run.call(module_.exports, module_.exports, require, module_, file, __dirname, importModule);
if (!cachedData || script.cachedDataRejected) process.once('exit', saveCache);

/**
 * The cache is code, and V8 does not notice when it is damaged: only what is whole, and what this user wrote and nobody
 * else could change, is taken.
 */
function readOwn(): Buffer | null {
  try {
    // In the home of another user, which is refused later, it may be anything.
    const { O_RDONLY, O_NONBLOCK } = constants;
    const fd = openSync(join(resolveHome(process.env).cache, cacheName), O_RDONLY | O_NONBLOCK);
    const { uid, mode } = fstatSync(fd);
    return uid === process.getuid?.() && (mode & 0o022) === 0 ? halved(readFileSync(fd)) : null;
  } catch {
    return null;
  }
}

/** At the exit, when the functions that were needed have been compiled. Without a home of its own there is no cache. */
function saveCache(): void {
  try {
    const { root, cache } = resolveHome(process.env);
    if (statSync(root, { throwIfNoEntry: false })?.uid !== process.getuid?.()) return;
    mkdirSync(cache, { recursive: true, mode: 0o700 });
    for (const old of readdirSync(cache))
      if (old.startsWith(`${name}-`)) rmSync(join(cache, old), { recursive: true, force: true });
    const path = join(cache, cacheName);
    const temporary = `${path}.${process.pid}`;
    writeFileSync(temporary, doubled(script.createCachedData()), { mode: 0o600 });
    renameSync(temporary, path);
  } catch {
    // It is only slower without.
  }
}
