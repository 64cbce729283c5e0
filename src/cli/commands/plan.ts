import { resolve } from 'node:path';
import type { Client } from '../../client/client.ts';
import { type Change, type PlanItem, planChanges } from '../../config/plan.ts';
import type { AppSpec } from '../../domain/app-spec.ts';
import { inRelease } from '../../domain/release.ts';
import { UpkeepError } from '../../protocol/errors.ts';
import type { AppView, Outcome } from '../../protocol/messages.ts';
import { appsFromFile, namesFile } from '../apps-from-file.ts';
import { canaryOf } from '../canary.ts';
import type { Context, Options, Run } from '../command.ts';
import { bold, dim, green, red, yellow } from '../render/colours.ts';
import { plain } from '../render/plain.ts';
import { withProgress } from '../render/progress.ts';
import { resolveLinks } from '../resolve-links.ts';
import { finish } from './finish.ts';

/** What was started from a shell has all of its variables. */
const MOST_NAMES = 12;

interface Planned {
  readonly specs: readonly AppSpec[];
  readonly items: readonly PlanItem[];
  readonly origin: string;
  readonly client: Client;
}

export const plan: Run = async (context, [file = ''], options) => {
  const { items } = await makePlan(context, file, options);
  if (options['json']) context.out.data(JSON.stringify(items));
  else context.out.data(items.flatMap(renderItem).join('\n'));
  return 0;
};

/** Does what `plan` shows. What fails is left as it was; the rest goes on. */
export const apply: Run = async (context, [file = ''], options) => {
  const canaryMs = canaryOf(options);
  const { specs, items, origin, client } = await makePlan(context, file, options);
  for (const line of items.flatMap(renderItem)) context.out.note(line);
  const of = (...kinds: readonly PlanItem['kind'][]): readonly PlanItem[] =>
    items.filter(({ kind }) => kinds.includes(kind));
  // The daemon refuses what is busy.
  const named = new Set(of('create', 'change', 'busy').map(({ name }) => name));
  const outcomes: Outcome[] = [];
  const done = async (work: Promise<readonly Outcome[]>): Promise<void> => {
    outcomes.push(...(await withProgress(context.out, client, work)));
  };
  const changed = specs.filter(({ name }) => named.has(name));
  if (changed.length > 0) await done(client.apply({ specs: changed, existing: 'reload', origin, canaryMs }));
  for (const item of of('scale')) {
    if (item.kind !== 'scale') continue;
    await done(client.call('scale', { selector: item.name, change: { kind: 'to', count: item.to } }));
  }
  const down = of('start').map(({ name }) => name);
  if (down.length > 0) await done(client.call('operate', { kind: 'start', selectors: down }));
  const removed = of('remove').map(({ name }) => name);
  if (removed.length > 0) await done(client.call('operate', { kind: 'delete', selectors: removed }));
  return finish(context, client, outcomes, (name) => (removed.includes(name) ? 'removed' : 'applied'), options);
};

async function makePlan(context: Context, file: string, options: Options): Promise<Planned> {
  if (!namesFile(file)) {
    throw new UpkeepError('USAGE', `expected an ecosystem file, got "${file}"`, {
      hint: '`upkeep plan ecosystem.config.js`',
    });
  }
  const specs = await appsFromFile(context, file, { ...options, declaredEnv: true });
  const origin = file === '-' ? '-' : resolve(context.cwd, file);
  const client = await context.connect();
  const views: readonly AppView[] =
    (await client.call('list', {})).length === 0 ? [] : await client.call('describe', { selectors: ['all'] });
  const released = specs.map((spec) => inRelease(spec, resolveLinks));
  // `--only` leaves the others as they are.
  const from = typeof options['only'] === 'string' ? '' : origin;
  return { specs, items: planChanges(released, views, from), origin, client };
}

function renderItem(item: PlanItem): string[] {
  switch (item.kind) {
    case 'create':
      return [`${green('+')} create ${bold(plain(item.name))}, ${count(item.instances)}`];
    case 'change':
      return [`${yellow('~')} change ${bold(plain(item.name))}`, ...item.changes.map(renderChange)];
    case 'scale':
      return [`${yellow('~')} scale ${bold(plain(item.name))}: ${item.from} -> ${item.to} instances`];
    case 'start': {
      const some = item.down < item.instances ? `${item.down} of ${count(item.instances)}; ` : '';
      return [`${green('+')} start ${bold(plain(item.name))} (${some}${plain(item.why)})`];
    }
    case 'remove':
      return [`${red('-')} remove ${bold(plain(item.name))}, ${count(item.instances)}`];
    case 'busy':
      return [`${yellow('!')} a reload of ${bold(plain(item.name))} is running`];
    case 'unchanged':
      return [dim(`  ${plain(item.name)} is as it should be`)];
  }
}

function renderChange({ option, from, to }: Change): string {
  if (option !== 'env') return plain(`    ${option}: ${from} -> ${to}`);
  const names = to.split(' ');
  const rest = names.length - MOST_NAMES;
  const some = names.slice(0, MOST_NAMES).join(' ');
  // As of an app that was started with all of a shell.
  const all = ` and ${rest} more (--json has all; what an app gets is env and pass_env of its file)`;
  return plain(`    env: ${some}${rest > 0 ? all : ''}`);
}

function count(instances: number): string {
  return `${instances} ${instances === 1 ? 'instance' : 'instances'}`;
}
