import type { InstanceState, LastExit } from '../domain/instance.ts';
import type { InstanceSnapshot } from './messages.ts';

/**
 * Times cross a socket in milliseconds since the epoch. Whoever keeps them counts in a clock that nobody sets, and so
 * tells each of them right after the wall clock was set, too (docs/adr/0013-clocks.md).
 */
export function shiftTimes(snapshot: InstanceSnapshot, byMs: number): InstanceSnapshot {
  const shiftExit = (exit: LastExit): LastExit => ({ ...exit, at: exit.at + byMs });
  return {
    ...snapshot,
    state: shiftState(snapshot.state, byMs),
    lastExit: snapshot.lastExit && shiftExit(snapshot.lastExit),
    exits: snapshot.exits.map(shiftExit),
  };
}

function shiftState(state: InstanceState, byMs: number): InstanceState {
  switch (state.kind) {
    case 'starting':
    case 'online':
    case 'stopping':
      return { ...state, since: state.since + byMs };
    case 'draining':
      return { ...state, since: state.since + byMs, from: state.from + byMs };
    case 'backoff':
      return { ...state, until: state.until + byMs };
    case 'errored':
      return typeof state.nextTryAt === 'number' ? { ...state, nextTryAt: state.nextTryAt + byMs } : state;
    case 'stopped':
      return state;
  }
}
