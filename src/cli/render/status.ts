import type { InstanceView } from '../../protocol/messages.ts';
import { dim, green, red, yellow } from './colours.ts';

/** The words of the list; docs/lifecycle.md explains each. */
function statusWord({ state, draining }: Pick<InstanceView, 'state' | 'draining'>): string {
  if (state.kind === 'backoff') return 'waiting restart';
  return draining.length > 0 ? `${state.kind} (+${draining.length} draining)` : state.kind;
}

export function colourStatus(view: Pick<InstanceView, 'state' | 'draining'>): string {
  const word = statusWord(view);
  switch (view.state.kind) {
    case 'online':
      return green(word);
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
