import { type AppSpec, programToRun } from '../../domain/app-spec.ts';
import type { Run } from '../command.ts';
import { plain } from '../render/plain.ts';
import { withProgress } from '../render/progress.ts';
import { resolveLinks } from '../resolve-links.ts';
import { finish } from './finish.ts';

export const rollback: Run = async (context, selectors, options) => {
  const { out } = context;
  const client = await context.connect();
  const outcomes = await withProgress(
    out,
    client,
    client.call('rollback', { selectors, force: options['force'] === true }),
  );
  const code = await finish(context, client, outcomes, 'rolled back', options);
  if (options['json']) return code;
  const done = new Set(outcomes.filter(({ ok }) => ok).map(({ name }) => name));
  for (const { app } of await client.call('describe', { selectors })) {
    const line = done.has(app.spec.name) ? leadsElsewhere(app.spec) : null;
    if (line !== null) out.note(plain(line));
  }
  return code;
};

/** A rollback moves no link. @returns what comes of that; null where the links lead to where it runs. */
function leadsElsewhere(spec: AppSpec): string | null {
  const { cwd, script } = spec.program;
  const runs = programToRun(spec);
  const moved = [
    { path: cwd, was: runs.cwd },
    { path: script, was: runs.script },
  ].find(({ path, was }) => was !== path && was !== (resolveLinks(path) ?? was));
  if (!moved) return null;
  const { path } = moved;
  return `${path} still leads to ${resolveLinks(path)}: the next restart or reload of ${spec.name} goes there`;
}
