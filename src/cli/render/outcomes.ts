import type { Outcome } from '../../protocol/messages.ts';
import type { Output } from '../command.ts';
import { bold, dim, green, red } from './colours.ts';
import { plain } from './plain.ts';

/** What was done with an app, such as `started`. */
export type Done = string | ((name: string) => string);

/**
 * Tells how an operation ended: a line for each app, and for each failure its cause, the last lines of stderr and the
 * next step. @returns the exit code.
 */
export function reportOutcomes(out: Output, outcomes: readonly Outcome[], done: Done): number {
  for (const [name, all] of groupByName(outcomes)) {
    const good = all.filter(({ ok }) => ok).length;
    if (good === 0) continue;
    const count = all.length === 1 ? '' : ` (${good} of ${all.length} instances)`;
    out.note(`${green('✓')} ${plain(name)} ${typeof done === 'string' ? done : done(name)}${count}`);
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
    if (first.hint) out.problem(`  ${bold('next:')} ${plain(first.hint)}`);
  }
  return failures.length === 0 ? 0 : 1;
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
