import type { AppSpec } from '../domain/app-spec.ts';
import type { AppView } from '../protocol/messages.ts';

/** What an ecosystem file would change, app by app. */
export type PlanItem =
  | { readonly kind: 'create'; readonly name: string; readonly instances: number }
  | { readonly kind: 'change'; readonly name: string; readonly changes: readonly Change[] }
  | { readonly kind: 'scale'; readonly name: string; readonly from: number; readonly to: number }
  /** As the file has it, but not all of it runs. */
  | {
      readonly kind: 'start';
      readonly name: string;
      readonly down: number;
      readonly instances: number;
      readonly why: string;
    }
  | { readonly kind: 'remove'; readonly name: string; readonly instances: number }
  /** A reload runs, so what there is to do is yet to be seen. */
  | { readonly kind: 'busy'; readonly name: string }
  | { readonly kind: 'unchanged'; readonly name: string };

/** One option under the name that ecosystem files use. Of variables only the names are told: their values are secrets. */
export interface Change {
  readonly option: string;
  readonly from: string;
  readonly to: string;
}

/**
 * @param specs of the file, with their releases resolved.
 * @param views of all apps that are there.
 * @param origin the path of the file: apps that came from it and are not in it any more are removed.
 */
export function planChanges(specs: readonly AppSpec[], views: readonly AppView[], origin: string): readonly PlanItem[] {
  const named = new Set(specs.map(({ name }) => name));
  const removed = views.map(({ app }) => app).filter((app) => app.origin === origin && !named.has(app.spec.name));
  return [
    ...specs.flatMap((spec) =>
      planApp(
        spec,
        views.find(({ app }) => app.spec.name === spec.name),
      ),
    ),
    ...removed.map(({ spec, slots }): PlanItem => ({ kind: 'remove', name: spec.name, instances: slots.length })),
  ];
}

function planApp(spec: AppSpec, view: AppView | undefined): readonly PlanItem[] {
  const { name, instances } = spec;
  if (!view) return [{ kind: 'create', name, instances }];
  if (view.reloading) return [{ kind: 'busy', name }];
  const changes = changesBetween(view.app.spec, spec);
  const from = view.app.slots.length;
  const scale = from === instances ? [] : [{ option: 'instances', from: String(from), to: String(instances) }];
  // It starts what is down, too.
  if (changes.length > 0) return [{ kind: 'change', name, changes: [...changes, ...scale] }];
  const items: PlanItem[] = scale.length > 0 ? [{ kind: 'scale', name, from, to: instances }] : [];
  const reasons = whyDown(view, instances);
  const [why] = reasons;
  if (why !== undefined) items.push({ kind: 'start', name, down: reasons.length, instances, why });
  return items.length > 0 ? items : [{ kind: 'unchanged', name }];
}

/** Of those that the file wants to run and that do not, or crash again and again. A job that has ended is done. */
function whyDown({ app, instances }: AppView, count: number): readonly string[] {
  const kept = app.slots.toSorted((a, b) => a.index - b.index).slice(0, count);
  return kept.flatMap(({ id, wanted }) => {
    const { state, unstable = 0, lastExit = null } = instances.find((instance) => instance.id === id) ?? {};
    switch (state?.kind) {
      case 'errored':
        return `errored: ${state.reason}`;
      case 'backoff':
        return `waiting restart: ${state.reason}`;
      case 'starting':
        return unstable > 0 && lastExit ? `crashes again and again: ${lastExit.reason}` : [];
      case 'stopped':
        return (wanted === 'down' && app.spec.autostart) || (wanted === 'up' && !lastExit) ? state.reason : [];
      case 'stopping':
      case 'draining':
        return wanted === 'down' && app.spec.autostart ? 'it is being stopped' : [];
      case 'online':
      case undefined:
        return [];
    }
  });
}

function changesBetween(from: AppSpec, to: AppSpec): readonly Change[] {
  const [before, after] = [optionsOf(from), optionsOf(to)];
  const changed = Object.keys(after).filter((option) => before[option] !== after[option]);
  const env = changedNames(from.env, to.env);
  return [
    ...changed.map((option) => ({ option, from: before[option] ?? '', to: after[option] ?? '' })),
    ...(env === '' ? [] : [{ option: 'env', from: '', to: env }]),
  ];
}

/** @returns such as `+ADDED ~CHANGED -REMOVED`. */
function changedNames(from: AppSpec['env'], to: AppSpec['env']): string {
  const names = [...new Set([...Object.keys(to), ...Object.keys(from)])].toSorted();
  const added = names.filter((name) => from[name] === undefined).map((name) => `+${name}`);
  const removed = names.filter((name) => to[name] === undefined).map((name) => `-${name}`);
  const both = names.filter((name) => from[name] !== undefined && to[name] !== undefined);
  const changed = both.filter((name) => from[name] !== to[name]).map((name) => `~${name}`);
  return [...added, ...changed, ...removed].join(' ');
}

/** Where it runs, links resolved. */
export function releaseOf({ release, script, cwd }: AppSpec['program']): string {
  const real = release ?? { script, cwd };
  return real.script.startsWith(`${real.cwd}/`) ? real.script : `${real.script} in ${real.cwd}`;
}

/** Everything of a spec but its name, its environment and its number of instances, as text. */
function optionsOf({
  program,
  logs,
  restart,
  stop,
  ready,
  drain,
  rollout,
  balance,
  ...rest
}: AppSpec): Record<string, string> {
  const { name: _name, instances: _instances, env: _env, ...others } = rest;
  const values: Record<string, unknown> = {
    script: program.script,
    release: releaseOf(program),
    interpreter: program.exec === program.script ? 'none' : program.exec,
    interpreter_args: program.interpreterArgs,
    args: program.args,
    cwd: program.cwd,
    exec_mode: others.mode,
    namespace: others.namespace,
    instance_var: others.instanceVar,
    increment_var: others.incrementVar,
    out_file: logs.out,
    error_file: logs.error,
    log_file: logs.combined,
    merge_logs: logs.merge,
    log_type: logs.type,
    log_date_format: logs.dateFormat,
    log_max_size: logs.rotation.maxBytes,
    log_rotate_interval: logs.rotation.interval,
    log_compress: logs.rotation.compress,
    log_retain: logs.rotation.retain,
    log_max_age: logs.rotation.maxAgeMs,
    log_max_total: logs.rotation.maxTotalBytes,
    log_max_total_all: logs.rotation.maxTotalAllBytes,
    log_mode: logs.bufferBytes === null ? 'blocking' : 'non-blocking',
    log_max_buffer_size: logs.bufferBytes,
    log_journald: logs.journald,
    log_syslog: logs.syslog,
    autorestart: restart.autorestart,
    min_uptime: restart.minUptimeMs,
    max_restarts: restart.maxRestarts,
    errored_retry: restart.erroredRetry,
    restart_delay: restart.delayMs,
    exp_backoff_restart_delay: restart.backoffMs,
    stop_exit_codes: restart.stopExitCodes,
    kill_signal: stop.signal,
    kill_timeout: stop.killTimeoutMs,
    shutdown_with_message: stop.shutdownWithMessage,
    treekill: stop.mainFirst ? 'main-first' : stop.treekill,
    wait_ready: ready.waitReady,
    listen_timeout: ready.listenTimeoutMs,
    readiness: ready.probe,
    liveness: others.liveness,
    drain_timeout: drain.timeoutMs,
    stream_timeout: drain.streamTimeoutMs,
    move_connections: drain.moveConnections,
    max_surge: rollout.maxSurge,
    max_unavailable: rollout.maxUnavailable,
    min_ready: rollout.minReadyMs,
    balance: balance.mode,
    sticky_cookie: balance.cookie,
    max_memory_restart: others.maxMemoryBytes,
    cron_restart: others.cron,
    autostart: others.autostart,
    uid: others.uid,
    gid: others.gid,
    pid_file: others.pidFile,
  };
  return Object.fromEntries(
    Object.entries(values).map(([option, value]) => [
      option,
      typeof value === 'string' ? value : JSON.stringify(value),
    ]),
  );
}
