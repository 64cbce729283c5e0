import { instanceEnv } from '../../domain/instance-env.ts';
import { UpkeepError } from '../../protocol/errors.ts';
import type { AppView } from '../../protocol/messages.ts';
import type { Context, Run } from '../command.ts';

export const id: Run = async (context, [target = '']) => {
  const instances = (await describeTarget(context, target)).flatMap((app) => app.instances);
  context.out.data(instances.map((instance) => instance.id).join('\n'));
  return 0;
};

export const pid: Run = async (context, [target]) => {
  if (target === undefined) {
    const client = await context.connect();
    context.out.data(String((await client.call('ping', {})).pid));
    return 0;
  }
  const instances = (await describeTarget(context, target)).flatMap((app) => app.instances);
  context.out.data(instances.map((instance) => instance.pid ?? 0).join('\n'));
  return 0;
};

export const env: Run = async (context, [target = '']) => {
  const [view] = await describeTarget(context, target);
  const [instance] = view?.instances ?? [];
  if (!view || !instance)
    throw new UpkeepError('APP_NOT_FOUND', 'there are no apps yet', { hint: '`upkeep start app.js`' });
  const variables = Object.entries(instanceEnv(view.app.spec, instance)).toSorted(([a], [b]) => (a < b ? -1 : 1));
  context.out.data(variables.map(([name, value]) => `${name}=${value}`).join('\n'));
  return 0;
};

async function describeTarget({ connect }: Context, target: string): Promise<readonly AppView[]> {
  const client = await connect();
  return client.call('describe', { selectors: [target] });
}
