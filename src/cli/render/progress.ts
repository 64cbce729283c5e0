import type { Client } from '../../client/client.ts';
import type { InstanceView } from '../../protocol/messages.ts';
import type { Output } from '../command.ts';

/** Shorter work shows nothing; longer work shows where it stands, this often. */
const EVERY_MS = 400;

/** Shows on a terminal how many instances are in which state, while an operation runs. */
export async function withProgress<T>(out: Output, client: Client, operation: Promise<T>): Promise<T> {
  if (!out.isTerminal) return operation;
  const show = async (): Promise<void> => {
    // What fails here fails in the operation too, and is told there.
    const views = await client.call('list', {}).catch(() => []);
    if (!over) out.status(summary(views));
  };
  let over = false;
  const timer = setInterval(() => void show(), EVERY_MS);
  try {
    return await operation;
  } finally {
    over = true;
    clearInterval(timer);
    out.status('');
  }
}

function summary(views: readonly InstanceView[]): string {
  const counts = new Map<string, number>();
  for (const { state, draining } of views) {
    counts.set(state.kind, (counts.get(state.kind) ?? 0) + 1);
    if (draining.length > 0) counts.set('draining', (counts.get('draining') ?? 0) + draining.length);
  }
  return [...counts].map(([state, count]) => `${count} ${state}`).join(', ');
}
