import { UpkeepError } from '../../protocol/errors.ts';
import type { Run } from '../command.ts';

/** Replaces the daemon, then the supervisors, by those of this version. What they run goes on. */
export const update: Run = async ({ connectRunning, connect, out, home, version }, _args, options) => {
  const old = await connectRunning(true);
  if (!old) {
    out.note(`no daemon runs for ${home.root}: the next command starts one of version ${version}`);
    return 0;
  }
  const { version: from, pid } = old.daemon;
  const gone = old.ended;
  await old.call('leave', {}).catch((error: unknown) => {
    if (!(error instanceof UpkeepError) || error.code !== 'METHOD_UNKNOWN') throw error;
    const hint = `\`kill ${pid}\`, then this command again; the apps go on meanwhile`;
    throw new UpkeepError('PROTOCOL_VERSION', `the daemon, of version ${from}, cannot make way by itself`, { hint });
  });
  await gone;
  const client = await connect();
  const supervisors = await client.call('updateSupervisors', {});
  if (options['json']) out.data(JSON.stringify({ from, to: version, supervisors }));
  else out.note(`✓ daemon ${from} → ${version}`);
  for (const { apps, from, problem } of supervisors) {
    const whose = apps.length === 0 ? 'a supervisor' : `supervisor of ${apps.join(', ')}`;
    if (problem === null) out.note(`✓ ${whose} ${from} → ${version}`);
    else out.problem(`✗ ${whose} is still of ${from}: ${problem}`);
  }
  if (supervisors.every(({ problem }) => problem === null)) return 0;
  out.problem('  next: `upkeep update` again, when nothing runs on them; they do their work meanwhile');
  return 1;
};
