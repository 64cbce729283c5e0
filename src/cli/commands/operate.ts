import { UpkeepError } from '../../protocol/errors.ts';
import type { OperationKind, Outcome } from '../../protocol/messages.ts';
import { appsFromFile, namesFile, originOf } from '../apps-from-file.ts';
import { canaryOf } from '../canary.ts';
import type { Context, Options, Run } from '../command.ts';
import { withProgress } from '../render/progress.ts';
import { finish } from './finish.ts';
import { definedEnv, refuseUnused } from './start.ts';

export const stop: Run = (context, targets, options) => operate(context, targets, options, 'stop', 'stopped');
export const remove: Run = (context, targets, options) => operate(context, targets, options, 'delete', 'deleted');
export const restart: Run = (context, targets, options) => operate(context, targets, options, 'restart', 'restarted');
export const reload: Run = (context, targets, options) => operate(context, targets, options, 'reload', 'reloaded');
export const reset: Run = (context, targets, options) => operate(context, targets, options, 'reset', 'reset');
export const startOrRestart: Run = (context, targets, options) => fromFileOnly(context, targets, options, 'restart');
export const startOrReload: Run = (context, targets, options) => fromFileOnly(context, targets, options, 'reload');

/** A file brings its apps in by restart and reload; for stop, delete and reset it only names them. */
async function operate(
  context: Context,
  targets: readonly string[],
  options: Options,
  kind: Exclude<OperationKind, 'start'>,
  done: string,
): Promise<number> {
  const selectors = targets.filter((target) => !namesFile(target));
  const files = targets.filter(namesFile);
  if (selectors.length > 0 && (kind === 'restart' || kind === 'reload')) refuseUnused(context, selectors, options);
  const specs = (await Promise.all(files.map((file) => appsFromFile(context, file, options)))).flat();
  const canaryMs = canaryOf(options);
  const origin = originOf(context, files);
  const client = await context.connect();
  const outcomes: Outcome[] = [];
  const fresh = new Set<string>();
  if (specs.length > 0 && (kind === 'restart' || kind === 'reload')) {
    const known = new Set((await client.call('list', {})).map(({ name }) => name));
    for (const { name } of specs) if (!known.has(name)) fresh.add(name);
    outcomes.push(
      ...(await withProgress(context.out, client, client.apply({ specs, existing: kind, origin, canaryMs }))),
    );
  } else {
    selectors.push(...specs.map(({ name }) => name));
  }
  if (selectors.length > 0) {
    const env = options['updateEnv'] ? definedEnv(context) : undefined;
    outcomes.push(
      ...(await withProgress(context.out, client, client.call('operate', { kind, selectors, env, canaryMs }))),
    );
  }
  return finish(context, client, outcomes, (name) => (fresh.has(name) ? 'started' : done), options);
}

function fromFileOnly(
  context: Context,
  targets: readonly string[],
  options: Options,
  kind: 'restart' | 'reload',
): Promise<number> {
  const other = targets.find((target) => !namesFile(target));
  if (other !== undefined) throw new UpkeepError('USAGE', `expected an ecosystem file, got "${other}"`);
  return operate(context, targets, options, kind, `${kind}ed`);
}
