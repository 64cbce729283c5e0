import { test } from 'node:test';
import { campaign } from './campaign.ts';
import { ipcTarget } from './ipc.ts';

test('messages of apps', async (t) => {
  const target = ipcTarget();
  t.after(target.end);
  await campaign(target, 5000);
});
