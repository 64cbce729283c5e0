import type { InstanceView } from '../../protocol/messages.ts';
import { dim, green, red, yellow } from './colours.ts';

type Shown = Pick<InstanceView, 'state' | 'draining' | 'successor' | 'unhealthy'>;

/** The words of the list; docs/lifecycle.md explains each. */
function statusWord({ state, draining, successor, unhealthy }: Shown): string {
  if (state.kind === 'backoff') return 'waiting restart';
  if (state.kind === 'errored' && typeof state.nextTryAt === 'number')
    return `errored, next try ${timeOfDay(state.nextTryAt)}`;
  const word = unhealthy === null ? state.kind : 'unhealthy';
  const beside = [
    ...(successor ? [`+1 ${successor.stage}`] : []),
    ...(draining.length > 0 ? [`+${draining.length} draining`] : []),
  ];
  return beside.length > 0 ? `${word} (${beside.join(', ')})` : word;
}

function timeOfDay(at: number): string {
  const date = new Date(at);
  return [date.getHours(), date.getMinutes()].map((part) => String(part).padStart(2, '0')).join(':');
}

export function colourStatus(view: Shown): string {
  const word = statusWord(view);
  switch (view.state.kind) {
    case 'online':
      return view.unhealthy === null ? green(word) : red(word);
    case 'starting':
    case 'draining':
    case 'stopping':
    case 'backoff':
      return yellow(word);
    case 'stopped':
      return dim(word);
    case 'errored':
      return red(word);
  }
}
