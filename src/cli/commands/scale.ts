import { UpkeepError } from '../../protocol/errors.ts';
import type { ScaleChange } from '../../protocol/messages.ts';
import type { Run } from '../command.ts';
import { withProgress } from '../render/progress.ts';
import { finish } from './finish.ts';

export const scale: Run = async (context, [selector = '', wanted = ''], options) => {
  const change = parseChange(wanted);
  const client = await context.connect();
  const outcomes = await withProgress(context.out, client, client.call('scale', { selector, change }));
  if (outcomes.length === 0) context.out.note(`${selector} has that many instances already`);
  const slots = (await client.call('describe', { selectors: [selector] })).flatMap((app) => app.app.slots);
  const isDown = outcomes.some(({ id, ok }) => ok && !slots.some((slot) => slot.id === id));
  const done = { app: `scaled to ${slots.length}`, each: isDown ? 'ended' : 'started' };
  return finish(context, client, outcomes, done, options);
};

function parseChange(text: string): ScaleChange {
  const match = /^([+-]?)(\d+)$/.exec(text);
  if (!match) throw new UpkeepError('USAGE', `scale takes a number such as 6, +3 or -2, got "${text}"`);
  const number = Number(match[2]);
  if (match[1] === '') return { kind: 'to', count: number };
  return { kind: 'by', delta: match[1] === '-' ? -number : number };
}
