import type { Run } from '../command.ts';
import { findSources } from '../log-sources.ts';
import { plain } from '../render/plain.ts';

export const flush: Run = async ({ connect, out }, targets) => {
  const client = await connect();
  const views = await client.call('list', {});
  if (views.length === 0 && targets.length === 0) {
    out.note('no apps, no logs');
    return 0;
  }
  const paths = await client.call('flush', { selectors: targets.length > 0 ? targets : ['all'] });
  for (const path of paths) out.note(`emptied ${plain(path)}`);
  if (targets.length === 0) return 0;
  const { without } = await findSources(client, targets, { out: true, err: true });
  for (const why of without) out.note(why);
  return 0;
};

export const reloadLogs: Run = async ({ connectRunning, out, home }) => {
  const client = await connectRunning();
  if (!client) {
    out.note(`no daemon runs for ${home.root}`);
    return 0;
  }
  await client.call('reloadLogs', {});
  let failed = false;
  for (const { name, id, lost } of await client.call('list', {})) {
    if (lost === null || lost.because === null) continue;
    out.problem(`upkeep: ${plain(name)} (${id}) has a log that cannot be written to: ${plain(lost.because)}`);
    failed = true;
  }
  if (failed) return 1;
  out.note('all log files are opened anew');
  return 0;
};
