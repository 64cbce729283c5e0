// npm run test:nodes [22 24 26]: runs the end-to-end tests on other versions of Node.js, which come from npm.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { openRunFolder } from './run-folder.mjs';

const root = dirname(import.meta.dirname);
const versions = process.argv.length > 2 ? process.argv.slice(2) : ['22', '24', '26'];
const platform = `${process.platform}-${process.arch}`;
const endRun = openRunFolder();
let failed = false;

for (const version of versions) {
  const folder = join(root, 'build', `node-${version}`);
  const name = `node-${platform}`;
  const node = join(folder, 'node_modules', name, 'bin', 'node');
  if (!existsSync(node)) {
    mkdirSync(folder, { recursive: true });
    run('npm', ['install', '--prefix', folder, '--no-save', `${name}@${version}`]);
  }
  console.log(`\n# end-to-end tests on Node.js ${version}`);
  failed = !run(process.execPath, [join(root, 'scripts', 'test.mjs'), 'e2e'], { UPKEEP_TEST_NODE: node }) || failed;
}
await endRun();
process.exit(failed ? 1 : 0);

function run(command, args, env = {}) {
  return spawnSync(command, args, { stdio: 'inherit', env: { ...process.env, ...env } }).status === 0;
}
