import { UpkeepError } from '../../protocol/errors.ts';
import type { InstanceView } from '../../protocol/messages.ts';
import type { Context, Run } from '../command.ts';

export const list: Run = async (context, _args, options) => {
  const answer = options['json'] ? askForList(context) : (context.readStatus() ?? askForList(context));
  // The table is loaded while the daemon works.
  const { renderList, SORT_FIELDS, sortViews } = await import('../render/list.ts');
  const order = typeof options['sort'] === 'string' ? options['sort'] : 'id';
  const field = order.split(':')[0] ?? '';
  if (!SORT_FIELDS.includes(field)) {
    throw new UpkeepError('USAGE', `--sort: there is no field "${field}"`, {
      hint: `there are ${SORT_FIELDS.join(', ')}`,
    });
  }
  const views = sortViews(await answer, order);
  context.out.data(options['json'] ? JSON.stringify(views) : renderList(views, Date.now()));
  return 0;
};

async function askForList(context: Context): Promise<readonly InstanceView[]> {
  const client = await context.connect();
  return client.call('list', {});
}

export const jlist: Run = (context) => printPm2Shape(context, 0);
export const prettylist: Run = (context) => printPm2Shape(context, 2);

async function printPm2Shape(context: Context, indent: number): Promise<number> {
  const client = await context.connect();
  const views = await client.call('list', {});
  const apps = views.length === 0 ? [] : await client.call('describe', { selectors: ['all'] });
  const { processObjects } = await import('../../compat/pm2/process-object.ts');
  context.out.data(JSON.stringify(processObjects(apps, Date.now()), null, indent));
  return 0;
}
