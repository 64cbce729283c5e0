import type { InstanceView, Outcome } from '../../protocol/messages.ts';
import type { Output } from '../command.ts';
import { bold, dim, green, red } from './colours.ts';
import { plain } from './plain.ts';

/**
 * What was done with an app, such as `started`; or with the app, such as `scaled to 3`, and with each of the instances
 * that this concerned.
 */
export type Done = string | ((name: string) => string) | { readonly app: string; readonly each: string };

/**
 * Tells how an operation ended: a line for each app, and for each failure its cause, the last lines of stderr and the
 * next step. @param views what there is now. @returns the exit code.
 */
export function reportOutcomes(
  out: Output,
  outcomes: readonly Outcome[],
  done: Done,
  views: readonly InstanceView[],
): number {
  const trying = new Set(views.filter(isTried).map(({ id }) => id));
  for (const [name, all] of groupByName(outcomes)) {
    const good = all.filter(({ ok }) => ok).length;
    if (good === 0) continue;
    out.note(`${green('✓')} ${plain(name)} ${tellDone(done, name, good, all.length)}`);
  }
  for (const [text, same] of groupBy(
    outcomes.filter(({ note }) => note !== undefined),
    ({ name, note }) => `${name}\n${note}`,
  )) {
    const [name, note] = text.split('\n');
    out.note(plain(`${name} (${same.map(({ id }) => id).join(', ')}) ${note}`));
  }
  const failures = outcomes.filter(({ ok }) => !ok);
  for (const [text, same] of groupBy(
    failures,
    ({ name, reason, stderr }) => `${name}\n${reason}\n${stderr.join('\n')}`,
  )) {
    const [first] = same;
    if (!first || text === '') continue;
    const ids = same.map(({ id }) => id).join(', ');
    out.problem(`${red('✗')} ${plain(`${first.name} (${ids}): ${first.reason}`)}`);
    for (const line of first.stderr) out.problem(dim(`    ${plain(line)}`));
    const again = same.some(({ id }) => trying.has(id)) ? first.again : undefined;
    const hint = [first.hint, again].filter(Boolean).join('; ');
    if (hint) out.problem(`  ${bold('next:')} ${plain(hint)}`);
  }
  return failures.length === 0 ? 0 : 1;
}

function isTried({ state }: InstanceView): boolean {
  if (state.kind === 'errored') return typeof state.nextTryAt === 'number';
  return state.kind === 'starting' || state.kind === 'backoff';
}

function tellDone(done: Done, name: string, good: number, all: number): string {
  if (typeof done === 'object') return `${done.app} (${good === all ? all : `${good} of ${all}`} ${done.each})`;
  const did = typeof done === 'string' ? done : done(name);
  return all === 1 ? did : `${did} (${good} of ${all} instances)`;
}

function groupByName(outcomes: readonly Outcome[]): Map<string, Outcome[]> {
  return groupBy(outcomes, ({ name }) => name);
}

function groupBy<T>(items: readonly T[], key: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(key(item));
    if (group) group.push(item);
    else groups.set(key(item), [item]);
  }
  return groups;
}
