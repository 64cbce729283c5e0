import { instanceEnv } from '../../domain/instance-env.ts';
import { UpkeepError } from '../../protocol/errors.ts';
import type { AppView } from '../../protocol/messages.ts';
import type { Context, Run } from '../command.ts';

export const id: Run = async (context, [target = ''], { json }) => {
  const ids = (await instancesOf(context, target)).map((instance) => instance.id);
  context.out.data(json ? JSON.stringify(ids) : ids.join('\n'));
  return 0;
};

/** A program that is not there has the pid 0. */
export const pid: Run = async (context, [target], { json }) => {
  const pids =
    target === undefined
      ? [(await (await context.connect()).call('ping', {})).pid]
      : (await instancesOf(context, target)).map((instance) => instance.pid ?? 0);
  context.out.data(json ? JSON.stringify(pids) : pids.join('\n'));
  return 0;
};

export const env: Run = async (context, [target = ''], { json }) => {
  const [view] = await describeTarget(context, target);
  const [instance] = view?.instances ?? [];
  if (!view || !instance)
    throw new UpkeepError('APP_NOT_FOUND', 'there are no apps yet', { hint: '`upkeep start app.js`' });
  const variables = Object.entries(instanceEnv(view.app.spec, instance)).toSorted(([a], [b]) => (a < b ? -1 : 1));
  context.out.data(
    json
      ? JSON.stringify(Object.fromEntries(variables))
      : variables.map(([name, value]) => `${name}=${value}`).join('\n'),
  );
  return 0;
};

async function instancesOf(context: Context, target: string): Promise<AppView['instances']> {
  return (await describeTarget(context, target)).flatMap(({ instances }) => instances);
}

async function describeTarget({ connect }: Context, target: string): Promise<readonly AppView[]> {
  const client = await connect();
  return client.call('describe', { selectors: [target] });
}
