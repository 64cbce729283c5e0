import { test } from 'node:test';
import { argsTarget } from './args.ts';
import { campaign } from './campaign.ts';

test('command lines', async (t) => {
  const target = argsTarget();
  t.after(target.end);
  await campaign(target, 5000);
});
