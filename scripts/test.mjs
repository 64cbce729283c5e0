// npm test [unit|e2e|chaos|pressure|fuzz] [file-substring]: bundles the tests, then runs them with node:test.
import { spawnSync } from 'node:child_process';
import { readdirSync, rmSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { build } from 'esbuild';
import { openRunFolder } from './run-folder.mjs';

const root = dirname(import.meta.dirname);
const [suite = 'all', filter = ''] = process.argv.slice(2);
const run = (script) => {
  const { status } = spawnSync(process.execPath, [join(root, script)], { cwd: root, stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
};
run('scripts/build.mjs');

const found = readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.test.ts') && file.includes(filter))
  .filter((file) => {
    const real = /^(e2e|chaos|pressure|fuzz)/.test(file);
    return suite === 'all' || (suite === 'unit' ? !real : file.startsWith(suite));
  })
  .toSorted();
if (found.length === 0) {
  console.error(`no test file matches suite "${suite}", filter "${filter}"`);
  process.exit(1);
}
const out = join(root, 'build', 'test');
rmSync(out, { recursive: true, force: true });
await build({
  absWorkingDir: root,
  entryPoints: found.map((file) => join('test', file)),
  outbase: 'test',
  outdir: out,
  outExtension: { '.js': '.mjs' },
  bundle: true,
  packages: 'external',
  platform: 'node',
  target: 'node20.19',
  format: 'esm',
  sourcemap: 'inline',
  define: { __UPKEEP_VERSION__: '"0.0.0-test"' },
  logLevel: 'warning',
});
const files = found.map((file) => relative(root, join(out, file.replace(/\.ts$/, '.mjs'))));
// The deadline holds for a whole file, too. Two files at a time: the end-to-end tests start many processes of their own.
const args = [
  '--enable-source-maps',
  '--test',
  '--test-concurrency=2',
  `--test-timeout=${process.env.TEST_TIMEOUT_MS ?? 300_000}`,
  ...files,
];
const endRun = openRunFolder();
const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' });
await endRun();
process.exit(status ?? 1);
