import { instanceEnv } from '../../domain/instance-env.ts';
import { UpkeepError } from '../../protocol/errors.ts';
import type { AppView } from '../../protocol/messages.ts';
import type { Context, Run } from '../command.ts';

export const id: Run = async (context, [target = ''], { json }) => {
  const ids = (await instancesOf(context, target)).map((instance) => instance.id);
  context.out.data(json ? JSON.stringify(ids) : ids.join('\n'));
  return 0;
};

/** Of what runs: any number in place of a pid could be given to `kill`. */
export const pid: Run = async (context, [target], { json }) => {
  const pids =
    target === undefined
      ? [(await (await context.connect()).call('ping', {})).pid]
      : (await instancesOf(context, target)).flatMap((instance) => instance.pid ?? []);
  if (json) context.out.data(JSON.stringify(pids));
  else if (pids.length > 0) context.out.data(pids.join('\n'));
  if (pids.length > 0) return 0;
  context.out.problem(`upkeep: nothing of ${target} runs`);
  return 1;
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
