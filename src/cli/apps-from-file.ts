import { resolve } from 'node:path';
import { type Ecosystem, isEcosystemPath, loadEcosystem, parseEcosystem } from '../config/ecosystem.ts';
import { type ResolveContext, resolveApp } from '../config/resolve-app.ts';
import type { AppSpec } from '../domain/app-spec.ts';
import { UpkeepError } from '../protocol/errors.ts';
import type { Context, Options } from './command.ts';
import { plain } from './render/plain.ts';

export function resolveContext(context: Context, folder: string, options: Options): ResolveContext {
  const { env, execPath, home } = context;
  const environment = typeof options['env'] === 'string' ? options['env'] : null;
  const declaredEnv = options['declaredEnv'] === true;
  // There are no others where upkeep runs.
  const own = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  return { folder, env, declaredEnv, cpus: context.cpus(), execPath, logFolder: home.logs, environment, own };
}

/** Whether a target is a file of apps: by its name, or `-` for JSON on stdin. */
export function namesFile(target: string): boolean {
  return target === '-' || isEcosystemPath(target);
}

/** Where apps come from: the path of their file; nothing where there are several, or stdin. */
export function originOf(context: Context, files: readonly string[]): string | undefined {
  const [file] = files;
  // Where no file is named, the folder may be gone.
  return file === undefined || file === '-' || files.length > 1 ? undefined : resolve(context.cwd, file);
}

/** The apps of an ecosystem file, as `--env` and `--only` choose them. */
export async function appsFromFile(context: Context, target: string, options: Options): Promise<readonly AppSpec[]> {
  const ecosystem =
    target === '-'
      ? parseEcosystem(await context.stdin(), 'stdin', context.cwd)
      : await loadEcosystem(resolve(context.cwd, target), context.importModule);
  for (const { warnings } of ecosystem.apps)
    for (const warning of warnings) context.out.problem(`upkeep: ${plain(warning)}`);
  const resolving = resolveContext(context, ecosystem.folder, options);
  checkEnvironment(context, ecosystem, resolving);
  const specs = ecosystem.apps.map(({ options: app, environments, where }) =>
    naming(where, () => resolveApp(app, environments, resolving, where)),
  );
  return typeof options['only'] === 'string' ? onlyNamed(specs, options['only'].split(',')) : specs;
}

/** What cannot be run is told with the file and the app, too. */
function naming<T>(where: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (!(error instanceof UpkeepError) || error.message.startsWith(where)) throw error;
    const { code, message, hint } = error;
    throw new UpkeepError(code, `${where}: ${message}`, { hint, cause: error });
  }
}

function onlyNamed(specs: readonly AppSpec[], names: readonly string[]): readonly AppSpec[] {
  const wanted = names.map((name) => name.trim());
  const missing = wanted.find((name) => !specs.some((spec) => spec.name === name));
  if (missing !== undefined) {
    const there = specs.map(({ name }) => name).join(', ');
    throw new UpkeepError('APP_NOT_FOUND', `--only: the file has no app "${missing}"`, { hint: `it has ${there}` });
  }
  return specs.filter(({ name }) => wanted.includes(name));
}

function checkEnvironment(
  { out }: Context,
  { apps }: Ecosystem,
  { environment, declaredEnv: declared }: ResolveContext,
): void {
  if (environment === null || apps.some(({ environments }) => Object.hasOwn(environments, environment))) return;
  const text = `no app of the file has env_${environment}`;
  // Where the environment is what the file says, and nothing else, it would take variables away.
  if (declared)
    throw new UpkeepError('USAGE', text, { hint: 'the names of its env_<name> blocks are what --env takes' });
  out.problem(`upkeep: ${text}; plain env is used`);
}
