import type { Run } from '../command.ts';
import { withProgress } from '../render/progress.ts';
import { finish } from './finish.ts';

export const rollback: Run = async (context, selectors, options) => {
  const client = await context.connect();
  const outcomes = await withProgress(
    context.out,
    client,
    client.call('rollback', { selectors, force: options['force'] === true }),
  );
  return finish(context, client, outcomes, 'rolled back', options);
};
