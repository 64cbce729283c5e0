// Bundles each process of upkeep into one file, so that each starts fast, and writes the type declarations.
import { execFileSync } from 'node:child_process';
import { chmodSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { build } from 'esbuild';

const root = dirname(import.meta.dirname);
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const dist = join(root, 'dist');

/** Of all entry points. */
const common = {
  absWorkingDir: root,
  outdir: dist,
  bundle: true,
  platform: 'node',
  target: 'node20.19',
  // Loaded from node_modules, and only for YAML files: it is larger than all the rest of the command line.
  external: ['yaml'],
  minify: true,
  sourcemap: 'linked',
  sourcesContent: false,
  legalComments: 'none',
  metafile: true,
  define: { __UPKEEP_VERSION__: JSON.stringify(version) },
  logLevel: 'warning',
};
const results = await Promise.all([
  // CommonJS, as it starts faster, and a preload must be.
  build({
    ...common,
    entryPoints: {
      upkeep: 'src/bin/upkeep.ts',
      cli: 'src/bin/cli.ts',
      looking: 'src/bin/looking.ts',
      daemon: 'src/bin/daemon.ts',
      supervisor: 'src/bin/supervisor.ts',
      stack: 'src/bin/stack.ts',
    },
    format: 'cjs',
    outExtension: { '.js': '.cjs' },
  }),
  build({
    ...common,
    entryPoints: { bootstrap: 'src/bootstrap/bootstrap.ts' },
    // It stands in the stack traces of apps.
    minify: false,
    format: 'cjs',
    outExtension: { '.js': '.cjs' },
  }),
  build({ ...common, entryPoints: { index: 'src/index.ts' }, format: 'esm' }),
]);
const metafiles = results.map(({ metafile }) => metafile);

// What an older build left. Not before the build: tests or an upkeep may be using what is there.
const written = new Set(metafiles.flatMap(({ outputs }) => Object.keys(outputs)).map((file) => basename(file)));
for (const entry of readdirSync(dist)) {
  if (!written.has(entry)) rmSync(join(dist, entry), { recursive: true, force: true });
}
chmodSync(join(dist, 'upkeep.cjs'), 0o755);

// The licences of what was bundled travel with it.
const bundled = new Set();
for (const input of metafiles.flatMap(({ inputs }) => Object.keys(inputs))) {
  const match = /^node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(input);
  if (match) bundled.add(match[1]);
}
const notices = [...bundled].toSorted().map((name) => {
  const folder = join(root, 'node_modules', name);
  const pkg = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
  if (!file) throw new Error(`${name} is bundled but has no licence file`);
  return `${name} ${pkg.version} (${pkg.license})\n\n${readFileSync(join(folder, file), 'utf8').trim()}\n`;
});
writeFileSync(join(dist, 'THIRD-PARTY-NOTICES.txt'), notices.join(`\n${'-'.repeat(72)}\n\n`));

execFileSync(join(root, 'node_modules', '.bin', 'tsc'), ['-p', 'tsconfig.types.json'], { cwd: root, stdio: 'inherit' });
