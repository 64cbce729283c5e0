import { test } from 'node:test';
import { campaign } from './campaign.ts';
import { framesTarget } from './frames.ts';

test('frames', () => campaign(framesTarget(), 5000));
