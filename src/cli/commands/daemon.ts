import { setTimeout as sleep } from 'node:timers/promises';
import { UpkeepError } from '../../protocol/errors.ts';
import type { Context, Run } from '../command.ts';

/** Between two tries to reach a daemon that is expected. */
const AGAIN_MS = 100;

/** The daemon answers when all that was wanted has been started. */
export const ping: Run = async (context, _args, options) => {
  const { wait = '0' } = options as { wait?: string };
  const seconds = Number(wait);
  if (!(Number.isFinite(seconds) && seconds >= 0))
    throw new UpkeepError('USAGE', `--wait: expected seconds, got "${wait}"`);
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    const answer = await askDaemon(context).catch((error: Error) => error);
    if (answer !== null && !(answer instanceof Error)) {
      context.out.data(options['json'] ? JSON.stringify(answer) : `pong: daemon ${answer.version}, pid ${answer.pid}`);
      return 0;
    }
    if (Date.now() < deadline) {
      await sleep(AGAIN_MS, undefined, { signal: context.signal });
      continue;
    }
    if (answer !== null) throw answer;
    context.out.problem(`no daemon runs for ${context.home.root}`);
    return 1;
  }
};

async function askDaemon({ connectRunning }: Context): Promise<{ version: string; pid: number } | null> {
  const client = await connectRunning();
  return client && client.call('ping', {});
}

export const kill: Run = async ({ connectRunning, connectToEnd, out, home }) => {
  const running = await connectRunning();
  const client = running ?? (await connectToEnd());
  const { stopped } = client ? await client.call('kill', {}) : { stopped: 0 };
  const processes = `${stopped} ${stopped === 1 ? 'process' : 'processes'}`;
  if (running) out.note(`stopped ${processes} and the daemon`);
  else out.note(`no daemon runs for ${home.root}${client ? `; of what it had left, ${processes} were stopped` : ''}`);
  return 0;
};
