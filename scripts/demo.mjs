// npm run demo: puts `upkeep` on PATH where users' commands belong, and starts the example app as a cluster of four.
import { spawnSync } from 'node:child_process';
import { delimiter, dirname, join } from 'node:path';
import { putOnPath } from './put-on-path.mjs';

const root = dirname(import.meta.dirname);
const program = join(root, 'dist', 'upkeep.cjs');
// The app should see the user's environment, not npm's.
const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('npm_')));
const path = (env.PATH ?? '').split(delimiter).filter((folder) => !folder.includes('node_modules'));
env.PATH = path.join(delimiter);

const { name, notes } = putOnPath(program, path, [
  ...(env.HOME ? [join(env.HOME, '.local', 'bin'), join(env.HOME, 'bin')] : []),
  '/usr/local/bin',
  // Where `npm install -g` would put it.
  ...(process.env.npm_config_global_prefix ? [join(process.env.npm_config_global_prefix, 'bin')] : []),
]);
const start = [program, 'start', join(root, 'examples', 'http', 'app.js'), '-i', '4', '--name', 'hello'];
const { status } = spawnSync(process.execPath, [...start, '-f'], { env, stdio: 'inherit' });
for (const note of notes) console.log(note);
if (status !== 0) process.exit(status ?? 1);
console.log(`
Four workers share http://127.0.0.1:${env.PORT ?? 8080}. Go on with:
  ${name} list
  ${name} reload hello
  ${name} scale hello +2
  ${name} logs hello
  ${name} kill             ends it all`);
