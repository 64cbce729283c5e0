import type { AppView, InstanceView } from '../../protocol/messages.ts';

/** A process as `pm2 jlist` prints it; scripts read these fields. The environment is left out: see `upkeep env`. */
export interface Pm2Process {
  readonly pid: number;
  readonly name: string;
  readonly pm_id: number;
  readonly monit: { readonly memory: number; readonly cpu: number };
  readonly pm2_env: Readonly<Record<string, unknown>>;
}

export function processObjects(apps: readonly AppView[], now: number): Pm2Process[] {
  return apps
    .flatMap((view) => view.instances.map((instance) => processObject(view, instance, now)))
    .toSorted((a, b) => a.pm_id - b.pm_id);
}

function processObject({ app }: AppView, instance: AppView['instances'][number], now: number): Pm2Process {
  const { spec } = app;
  const { state } = instance;
  return {
    pid: instance.pid ?? 0,
    name: instance.name,
    pm_id: instance.id,
    monit: { memory: instance.rssBytes ?? 0, cpu: instance.cpuPercent ?? 0 },
    pm2_env: {
      name: spec.name,
      namespace: spec.namespace,
      pm_id: instance.id,
      status: pm2Status(instance),
      exec_mode: `${spec.mode}_mode`,
      instances: spec.instances,
      node_args: spec.program.interpreterArgs,
      pm_exec_path: spec.program.script,
      pm_cwd: spec.program.cwd,
      exec_interpreter: spec.program.script === spec.program.exec ? 'none' : spec.program.exec,
      args: spec.program.args,
      pm_out_log_path: instance.logs.out ?? '/dev/null',
      pm_err_log_path: instance.logs.error ?? '/dev/null',
      created_at: app.createdAt,
      pm_uptime: 'since' in state ? state.since : (instance.lastExit?.at ?? now),
      restart_time: instance.restarts,
      unstable_restarts: instance.unstable,
      exit_code: instance.lastExit?.code ?? undefined,
      autorestart: spec.restart.autorestart,
      kill_timeout: spec.stop.killTimeoutMs,
      successor: instance.successor ?? null,
      [spec.instanceVar]: instance.index,
    },
  };
}

function pm2Status({ state }: InstanceView): string {
  switch (state.kind) {
    case 'starting':
      return 'launching';
    case 'backoff':
      return 'waiting restart';
    case 'online':
    case 'draining':
    case 'stopping':
    case 'stopped':
    case 'errored':
      return state.kind;
  }
}
