import type { Client } from '../../client/client.ts';
import type { InstanceView } from '../../protocol/messages.ts';
import type { Output } from '../command.ts';

/** Shorter work shows nothing; longer work shows where it stands, this often. */
const EVERY_MS = 400;

/** So long an operation may take before it is asked what holds it up. */
const HELD_UP_MS = 3000;

/** Shows on a terminal how many instances are in which state, while an operation runs; and says what holds it up. */
export async function withProgress<T>(out: Output, client: Client, operation: Promise<T>): Promise<T> {
  const show = async (): Promise<void> => {
    // What fails here fails in the operation too, and is told there.
    const views = await client.call('list', {}).catch(() => []);
    if (!over) out.status(summary(views));
  };
  const ask = async (): Promise<void> => {
    const { waitsFor } = await client.call('ping', {}).catch(() => ({ waitsFor: null }));
    // An older daemon does not tell.
    if (waitsFor && !over) out.problem(`upkeep: waits for ${waitsFor}`);
  };
  let over = false;
  const timer = out.isTerminal ? setInterval(() => void show(), EVERY_MS) : undefined;
  const asking = setTimeout(() => void ask(), HELD_UP_MS);
  try {
    return await operation;
  } finally {
    over = true;
    clearInterval(timer);
    clearTimeout(asking);
    out.status('');
  }
}

function summary(views: readonly InstanceView[]): string {
  const counts = new Map<string, number>();
  const add = (state: string, count: number): unknown => counts.set(state, (counts.get(state) ?? 0) + count);
  for (const { state, draining, successor } of views) {
    add(state.kind, 1);
    if (successor) add(successor.stage, 1);
    if (draining.length > 0) add('draining', draining.length);
  }
  return [...counts].map(([state, count]) => `${count} ${state}`).join(', ');
}
