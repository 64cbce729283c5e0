import { type Address, moved } from '../domain/address.ts';
import { START_DEADLINE_MS } from '../domain/app-spec.ts';
import { longestStopMs, type StopHow } from '../domain/drain-times.ts';
import { STOPPED_BY_COMMAND } from '../domain/instance.ts';
import type { OperationKind, Outcome } from '../protocol/messages.ts';
import { explainFailure, type Role } from './explain.ts';
import type { ManagedApp } from './managed-app.ts';
import type { ManagedInstance } from './managed-instance.ts';
import type { Ports } from './ports.ts';
import type { Turns } from './turns.ts';

/** More than the two kill timers of a stop can take together, plus what the machine may lag. */
const STOP_SLACK_MS = 10_000;

function succeeded(managed: ManagedInstance): Outcome {
  return { id: managed.slot.id, name: managed.spec.name, ok: true, reason: null, hint: null, stderr: [] };
}

/** One that is online in place of what was before: it may listen elsewhere, or no more. */
export function cameUp(managed: ManagedInstance): Outcome {
  return tellDeaf(managed) ?? { ...succeeded(managed), note: moved(managed.before, managed.addresses) ?? undefined };
}

/** @returns how one failed that listens nowhere, though it had to; else null. */
function tellDeaf(managed: ManagedInstance): Outcome | null {
  if (!managed.isDeaf) return null;
  const { before } = managed;
  const others = before.length > 0 ? `it listened on ${listed(before)} before` : 'its siblings listen';
  const reason = `${others}, and ${START_DEADLINE_MS / 1000} s after its start it listens nowhere; it is left running`;
  return failedWith(managed, reason, `\`upkeep logs ${managed.spec.name}\` shows what it wrote`);
}

function listed(addresses: readonly Address[]): string {
  return addresses.map(({ address }) => address).join(', ');
}

export function failedWith(managed: ManagedInstance, reason: string, hint: string | null = null): Outcome {
  return { ...succeeded(managed), ok: false, reason, hint };
}

/**
 * Sends start or restart, and waits until the instance is online or has failed once.
 * A failed one is left to its restart policy.
 */
export async function bringUp(
  ports: Ports,
  managed: ManagedInstance,
  event:
    | { readonly kind: 'start' }
    | { readonly kind: 'restart'; readonly how: StopHow; readonly why?: string | undefined },
  role: Role = 'app',
): Promise<Outcome> {
  const failuresBefore = managed.failures;
  const settled = (): Outcome | null => {
    const { state } = managed.instance;
    if (state.kind === 'online') return cameUp(managed);
    if (state.kind === 'stopped') {
      // Else it is a job that has ended as it may.
      const stopped = state.reason.startsWith(STOPPED_BY_COMMAND);
      return stopped ? failedWith(managed, `${state.reason} before it was ready`) : succeeded(managed);
    }
    const failed = managed.failures > failuresBefore || state.kind === 'errored' || state.kind === 'backoff';
    return failed ? { ...failedWith(managed, ''), ...explainFailure(managed, ports, role) } : null;
  };
  managed.send(event);
  // The start has its own time, whatever the end of the run before it takes.
  const stopMs = longestStopMs(managed.instance.policy, event.kind === 'restart' ? event.how : 'final');
  const gone = (): true | null => (['draining', 'stopping'].includes(managed.instance.state.kind) ? null : true);
  await watchUntil(ports, managed, gone, stopMs);
  const { ready, stop, name } = managed.spec;
  // One that is not ready in time is ended first, before that is told.
  const limitMs =
    Math.max(START_DEADLINE_MS, ready.listenTimeoutMs * 2, ready.probe?.deadlineMs ?? 0) + stop.killTimeoutMs;
  return (
    (await watchUntil(ports, managed, settled, limitMs)) ??
    tellDeaf(managed) ??
    failedWith(managed, `still starting after ${limitMs} ms; it is left running`, `\`upkeep logs ${name}\``)
  );
}

/** Sends stop, and waits until nothing of the instance is left. */
export async function takeDown(ports: Ports, managed: ManagedInstance, how: StopHow, why?: string): Promise<Outcome> {
  managed.send({ kind: 'stop', how, why });
  const settled = (): Outcome | null => {
    const { state } = managed.instance;
    if (state.kind === 'stopped') return succeeded(managed);
    return state.kind === 'errored' ? failedWith(managed, state.reason) : null;
  };
  const limitMs = longestStopMs(managed.instance.policy, how) + STOP_SLACK_MS;
  const outcome = await watchUntil(ports, managed, settled, limitMs);
  return (
    outcome ?? failedWith(managed, `process ${managed.pid ?? ''} is still there after ${limitMs} ms, SIGKILL and all`)
  );
}

/** Performs everything but reload on the instances with these ids. */
export async function operate(
  ports: Ports,
  turns: Turns,
  app: ManagedApp,
  ids: readonly number[],
  kind: Exclude<OperationKind, 'reload'>,
): Promise<Outcome[]> {
  const concerned = new Set(ids);
  const others = app.ids.filter((id) => !concerned.has(id) && app.current(id).instance.state.kind === 'online');
  const uncovered = kind === 'restart' ? 'gap' : 'final';
  const how = others.length > 0 ? 'covered' : uncovered;
  return Promise.all(
    ids.map(async (id) => {
      const managed = app.current(id);
      await turns.take();
      if (!app.has(id)) return failedWith(managed, 'it was deleted meanwhile');
      switch (kind) {
        case 'start':
        case 'restart':
          managed.setSpec(app.record.spec);
          return bringUp(ports, managed, { kind, how });
        case 'stop':
          return takeDown(ports, managed, how);
        case 'reset':
          managed.send({ kind: 'reset' });
          return succeeded(managed);
        case 'delete': {
          const outcomes = await Promise.all(app.occupants(id).map((occupant) => takeDown(ports, occupant, how)));
          const failure = outcomes.find(({ ok }) => !ok);
          if (!failure) app.remove(id);
          return failure ?? succeeded(managed);
        }
      }
    }),
  );
}

/** @returns what `settled` gave, or null when `limitMs` passed first. */
export function watchUntil<T>(
  ports: Ports,
  managed: ManagedInstance,
  settled: () => T | null,
  limitMs: number,
): Promise<T | null> {
  return new Promise((resolve) => {
    const finish = (value: T | null) => {
      unwatch();
      drop();
      resolve(value);
    };
    const check = () => {
      const value = settled();
      if (value !== null) finish(value);
    };
    const unwatch = managed.watch(check);
    const drop = ports.clock.after(limitMs, () => finish(null));
    check();
  });
}
