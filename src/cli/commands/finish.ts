import type { Client } from '../../client/client.ts';
import type { Outcome } from '../../protocol/messages.ts';
import type { Context, Options } from '../command.ts';
import { renderList } from '../render/list.ts';
import { type Done, reportOutcomes } from '../render/outcomes.ts';

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
  const code = reportOutcomes(out, outcomes, done);
  out.note(renderList(await client.call('list', {}), Date.now()));
  return code;
}
