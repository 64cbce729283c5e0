// npm run demo: puts `upkeep` on PATH where that needs no root, and starts the example app as a cluster of four.
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';

const root = dirname(import.meta.dirname);
const program = join(root, 'dist', 'upkeep.cjs');
// The app should see the user's environment, not npm's.
const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('npm_')));
const path = (env.PATH ?? '').split(delimiter).filter((folder) => !folder.includes('node_modules'));
env.PATH = path.join(delimiter);

const name = putOnPath();
const start = [program, 'start', join(root, 'examples', 'http', 'app.js'), '-i', '4', '--name', 'hello'];
const { status } = spawnSync(process.execPath, [...start, '-f'], { env, stdio: 'inherit' });
if (status !== 0) process.exit(status ?? 1);
console.log(`
Four workers share http://127.0.0.1:${env.PORT ?? 8080}. Go on with:
  ${name} list
  ${name} reload hello
  ${name} scale hello +2
  ${name} logs hello
  ${name} kill             ends it all`);

/** @returns how the user calls upkeep from here on. */
function putOnPath() {
  if (path.some((folder) => existsSync(join(folder, 'upkeep')))) return 'upkeep';
  const folder = path.find(
    (entry) => (entry.startsWith(env.HOME ?? '/root') || entry === '/usr/local/bin') && writable(entry),
  );
  if (!folder) return `node ${program}`;
  mkdirSync(folder, { recursive: true });
  // A link that leads nowhere is no `upkeep`, but in the way.
  rmSync(join(folder, 'upkeep'), { force: true });
  symlinkSync(program, join(folder, 'upkeep'));
  console.log(`upkeep is now ${join(folder, 'upkeep')}`);
  return 'upkeep';
}

function writable(folder) {
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
