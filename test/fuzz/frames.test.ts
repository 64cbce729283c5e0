import { test } from 'node:test';
import { campaign } from './campaign.ts';
import { framesTarget } from './frames.ts';

test('frames', async (t) => {
  const target = framesTarget();
  t.after(target.end);
  await campaign(target, 5000);
});
