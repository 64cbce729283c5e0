import type { Run } from '../command.ts';

export const ping: Run = async ({ connectRunning, out, home }) => {
  const client = await connectRunning();
  if (!client) {
    out.problem(`no daemon runs for ${home.root}`);
    return 1;
  }
  const { pid, version } = await client.call('ping', {});
  out.data(`pong: daemon ${version}, pid ${pid}`);
  return 0;
};

export const kill: Run = async ({ connectRunning, out, home }) => {
  const client = await connectRunning();
  if (!client) {
    out.note(`no daemon runs for ${home.root}`);
    return 0;
  }
  const { stopped } = await client.call('kill', {});
  out.note(`stopped ${stopped} ${stopped === 1 ? 'process' : 'processes'} and the daemon`);
  return 0;
};
