import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { resolveApp } from '../../config/resolve-app.ts';
import { startHints } from '../../config/start-hints.ts';
import type { AppSpec } from '../../domain/app-spec.ts';
import { UpkeepError } from '../../protocol/errors.ts';
import type { Outcome } from '../../protocol/messages.ts';
import { appsFromFile, namesFile, originOf, resolveContext } from '../apps-from-file.ts';
import type { Context, Options, Run } from '../command.ts';
import { withProgress } from '../render/progress.ts';
import { FLAGS, namingFlags, readFlags, typedAppFlags } from '../start-flags.ts';
import { finish } from './finish.ts';

const DEFAULT_FILES = ['ecosystem.config.js', 'ecosystem.config.cjs', 'ecosystem.config.mjs', 'ecosystem.json'];

export const start: Run = async (context, given, options) => {
  if (options['daemon'] === false) {
    throw new UpkeepError('USAGE', '--no-daemon is not supported yet: this command ends when the apps have started', {
      hint: 'run `upkeep start` without it; as the main command of a container it would end the container',
    });
  }
  const targets = given.length > 0 ? given : [defaultFile(context)];
  // Everything is read and checked before anything is started.
  const fromFiles: AppSpec[] = [];
  const fromFlags: AppSpec[] = [];
  const registered: string[] = [];
  for (const target of targets) {
    if (namesFile(target)) {
      refuseFlags(target, options);
      fromFiles.push(...(await appsFromFile(context, target, options)));
    } else if (await isRegistered(context, target, options)) registered.push(target);
    else fromFlags.push(specFromFlags(context, target, options));
  }

  if (registered.length > 0) refuseUnused(context, registered, options);

  const client = await context.connect();
  const outcomes: Outcome[] = [];
  if (fromFlags.length > 0) {
    const existing = options['force'] ? 'restart' : 'error';
    outcomes.push(...(await withProgress(context.out, client, client.apply({ specs: fromFlags, existing }))));
  }
  if (fromFiles.length > 0)
    outcomes.push(
      ...(await withProgress(
        context.out,
        client,
        client.apply({
          specs: fromFiles,
          existing: 'restart',
          origin: originOf(context, targets.filter(namesFile)),
          sparesReload: true,
        }),
      )),
    );
  if (registered.length > 0) {
    // As with pm2, to start by name what runs is to restart it.
    const env = options['updateEnv'] ? definedEnv(context) : undefined;
    outcomes.push(
      ...(await withProgress(
        context.out,
        client,
        client.call('operate', { kind: 'restart', selectors: registered, env, sparesReload: true }),
      )),
    );
  }
  for (const hint of [...fromFlags, ...fromFiles].flatMap(startHints)) context.out.note(hint);
  for (const { name } of [...fromFlags, ...fromFiles].filter(({ autostart }) => !autostart)) {
    if (!outcomes.some((outcome) => outcome.name === name)) context.out.note(`${name} is registered, and not started`);
  }
  return finish(context, client, outcomes, 'started', options);
};

/** @throws UpkeepError USAGE for flags that describe an app, beside a file that does. */
function refuseFlags(file: string, options: Options): void {
  const flags = typedAppFlags(options);
  if (flags.length === 0) return;
  const text = `${flags.join(', ')}: the options of apps of ${file} stand in that file`;
  throw new UpkeepError('USAGE', text, { hint: `write them there, or name the script instead of ${file}` });
}

/**
 * What an app that is there, and goes by its name, does not take over.
 * @throws UpkeepError USAGE that tells what does.
 */
export function refuseUnused({ rest }: Context, names: readonly string[], options: Options): void {
  const given = rest.length > 0 ? 'arguments after --' : null;
  const unused = given ?? (typeof options['env'] === 'string' ? `--env ${options['env']}` : null);
  if (unused === null) return;
  const hint = given
    ? 'change args in its ecosystem file and name that, or `upkeep start <script> --name <name> -f -- <args>`'
    : 'name the ecosystem file that has this block, such as `upkeep restart ecosystem.config.js --env production`';
  throw new UpkeepError('USAGE', `${unused}: ${names.join(', ')} is named without its script or file`, { hint });
}

export function definedEnv({ env }: Context): Record<string, string> {
  return Object.fromEntries(Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined));
}

function defaultFile({ cwd }: Context): string {
  const found = DEFAULT_FILES.find((file) => existsSync(resolve(cwd, file)));
  if (found) return resolve(cwd, found);
  throw new UpkeepError('USAGE', 'start what? There is no ecosystem.config.js in this folder', {
    hint: '`upkeep start app.js`, or `upkeep help start`',
  });
}

/** A word that is no file may name an app that is there. */
async function isRegistered(context: Context, target: string, options: Options): Promise<boolean> {
  if (typedAppFlags(options).length > 0 || context.rest.length > 0 || isFile(context, target)) return false;
  // A daemon that is gone knows it, too: from the state that it has left.
  const client = existsSync(context.home.state) ? await context.connect() : await context.connectRunning();
  if (!client) return false;
  try {
    return (await client.call('describe', { selectors: [target] })).length > 0;
  } catch (error) {
    if (error instanceof UpkeepError && error.code === 'APP_NOT_FOUND') return false;
    throw error;
  }
}

function isFile(context: Context, target: string): boolean {
  try {
    return existsSync(resolve(context.cwd, target));
  } catch {
    // In a folder that was removed there is none.
    return false;
  }
}

function specFromFlags(context: Context, target: string, options: Options): AppSpec {
  const { options: app, warnings } = readFlags(options, target, context.rest);
  for (const warning of warnings) context.out.problem(`upkeep: ${warning}`);
  return namingFlags(options, () => resolveApp(app, {}, resolveContext(context, context.cwd, options), FLAGS));
}
