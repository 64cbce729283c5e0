import { test } from 'node:test';
import { campaign } from './campaign.ts';
import { stateTarget } from './state.ts';

test('state files', async (t) => {
  const target = stateTarget();
  t.after(target.end);
  await campaign(target, 5000);
});
