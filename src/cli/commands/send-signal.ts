import type { Run } from '../command.ts';

export const sendSignal: Run = async ({ connect, out }, [signal = '', ...selectors]) => {
  const client = await connect();
  const pids = await client.call('signal', { selectors, signal });
  if (pids.length === 0) {
    out.problem('upkeep: none of them runs: nothing was sent');
    return 1;
  }
  out.note(`sent ${signal} to ${pids.length === 1 ? 'process' : 'processes'} ${pids.join(', ')}`);
  return 0;
};
