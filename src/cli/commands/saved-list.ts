import type { Run } from '../command.ts';
import { withProgress } from '../render/progress.ts';
import { finish } from './finish.ts';

export const save: Run = async ({ connect, out }, _args, options) => {
  const client = await connect();
  const { apps, path } = await client.call('save', { force: options['force'] === true });
  out.note(
    `saved ${apps} ${apps === 1 ? 'app' : 'apps'} in ${path}; \`upkeep resurrect\` brings back what is gone by then`,
  );
  return 0;
};

export const resurrect: Run = async (context, _args, options) => {
  const { connect, out } = context;
  const client = await connect();
  const { saved, restored, outcomes, problem } = await withProgress(out, client, client.call('resurrect', {}));
  if (problem !== null) out.problem(`upkeep: ${problem}`);
  if (saved === 0) out.note('nothing is saved; `upkeep save` does so');
  else if (restored === 0) out.note(`all ${saved} saved apps are there`);
  const code = await finish(context, client, outcomes, 'started', options);
  return saved === 0 && problem !== null ? 1 : code;
};

export const cleardump: Run = async ({ connect, out }) => {
  const client = await connect();
  const { path } = await client.call('cleardump', {});
  out.note(`${path} is empty`);
  return 0;
};
