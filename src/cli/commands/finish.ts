import type { Client } from '../../client/client.ts';
import type { InstanceView, Outcome } from '../../protocol/messages.ts';
import type { Context, Options } from '../command.ts';
import { renderList } from '../render/list.ts';
import { type Done, reportOutcomes } from '../render/outcomes.ts';
import { plain } from '../render/plain.ts';

/** Ends a command that changed something: what was done, then what there is now. @returns the exit code. */
export async function finish(
  { out }: Context,
  client: Client,
  outcomes: readonly Outcome[],
  done: Done,
  options: Options,
): Promise<number> {
  if (options['json']) {
    out.data(JSON.stringify(outcomes));
    return outcomes.every(({ ok }) => ok) ? 0 : 1;
  }
  const views = await client.call('list', {});
  const code = reportOutcomes(out, outcomes, done, views);
  for (const name of new Set(outcomes.map((outcome) => outcome.name))) {
    // One with `wait_ready`, or a readiness of its own, may do so later.
    if (listensNowhere(views.filter((view) => view.name === name)))
      out.note(`${plain(name)} is in cluster mode and listens nowhere yet: its instances share no port`);
  }
  out.note(renderList(views, Date.now()));
  return code;
}

function listensNowhere(views: readonly InstanceView[]): boolean {
  const isSilent = ({ mode, state, listens }: InstanceView): boolean =>
    mode === 'cluster' && state.kind === 'online' && listens.length === 0;
  return views.length > 0 && views.every(isSilent);
}
