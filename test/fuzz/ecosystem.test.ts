import { test } from 'node:test';
import { campaign } from './campaign.ts';
import { ecosystemTarget } from './ecosystem.ts';

test('ecosystem files', async (t) => {
  const target = ecosystemTarget();
  t.after(target.end);
  await campaign(target, 5000);
});
