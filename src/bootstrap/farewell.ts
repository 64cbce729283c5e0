import { countListeners, emit, once, setImmediate, setTimeout } from './own.ts';

/**
 * Asks the app itself to end, once its work is done: by the message 'shutdown' where it takes messages, then by the
 * signal where it handles that. Who listens for messages may do so for another reason, as libraries do.
 */

export interface Farewell {
  /** The signal that the app may handle. */
  readonly signal: string;
  /** How long an app that acts on the message has for that, before the signal. */
  readonly messageMs: number;
  readonly takesMessages: boolean;
  readonly wantSignal: () => void;
  /** Nothing more is asked of it: its channel keeps it alive no longer. */
  readonly letGo: () => void;
}

export function bidFarewell({ signal, messageMs, takesMessages, wantSignal, letGo }: Farewell): void {
  const handlesSignal = (): boolean => countListeners(signal) > 0;
  const sendSignal = (): void => {
    // After the app's own, which may begin something that keeps it.
    if (handlesSignal()) once(signal as NodeJS.Signals, letGo);
    wantSignal();
  };
  if (!takesMessages) return sendSignal();
  const before = activity();
  emit('message', 'shutdown', undefined);
  setImmediate(() => {
    // A signal that it does not handle would end it before it is done.
    if (!handlesSignal()) return letGo();
    if (activity() === before) return sendSignal();
    setTimeout(sendSignal, messageMs).unref();
  });
}

interface Handle {
  readonly fd?: number;
  readonly bytesWritten?: number;
}

/** Changes when the app begins or closes something, or writes to a socket; not by what it logs. */
function activity(): string {
  const { _getActiveHandles: list } = process as { readonly _getActiveHandles?: () => readonly (Handle | null)[] };
  const written = (list?.call(process) ?? [])
    .filter((handle) => handle?.fd !== 1 && handle?.fd !== 2)
    .map((handle) => handle?.bytesWritten ?? 0);
  return JSON.stringify([process.getActiveResourcesInfo().filter((name) => name !== 'PipeWrap'), written]);
}
