import { type AppSpec, DEFAULTS, type RotationSpec } from '../../src/domain/app-spec.ts';
import type { AppRecord, Slot } from '../../src/protocol/messages.ts';

type Changes = { readonly [Key in keyof AppSpec]?: AppSpec[Key] extends object ? Partial<AppSpec[Key]> : AppSpec[Key] };

export const NO_ROTATION: RotationSpec = {
  maxBytes: null,
  interval: 'never',
  compress: false,
  retain: null,
  maxAgeMs: null,
  maxTotalBytes: null,
  maxTotalAllBytes: null,
};

/** A spec as the defaults make it, of a fork-mode Node.js app; what is given replaces single fields. */
export function appSpec(changes: Changes = {}): AppSpec {
  const { program, env = {}, logs, restart, stop, ready, drain, rollout, balance, liveness, ...rest } = changes;
  return {
    name: 'api',
    namespace: DEFAULTS.namespace,
    mode: 'fork',
    instances: 1,
    instanceVar: DEFAULTS.instanceVar,
    incrementVar: null,
    autostart: true,
    uid: null,
    gid: null,
    pidFile: null,
    maxMemoryBytes: null,
    cron: null,
    ...rest,
    env: env as Record<string, string>,
    program: {
      script: '/srv/api.js',
      exec: '/usr/bin/node',
      runtime: 'node',
      interpreterArgs: [],
      args: [],
      cwd: '/srv',
      release: null,
      ...program,
    },
    logs: {
      out: '/logs/api-out.log',
      error: '/logs/api-error.log',
      combined: null,
      merge: false,
      type: 'plain',
      dateFormat: null,
      rotation: NO_ROTATION,
      bufferBytes: null,
      journald: false,
      syslog: null,
      ...logs,
    },
    restart: {
      autorestart: true,
      minUptimeMs: DEFAULTS.minUptimeMs,
      maxRestarts: DEFAULTS.maxRestarts,
      erroredRetry: true,
      delayMs: 0,
      backoffMs: 0,
      stopExitCodes: [],
      ...restart,
    },
    stop: {
      signal: DEFAULTS.killSignal,
      killTimeoutMs: DEFAULTS.killTimeoutMs,
      shutdownWithMessage: false,
      treekill: true,
      mainFirst: false,
      ...stop,
    },
    ready: { waitReady: false, listenTimeoutMs: DEFAULTS.listenTimeoutMs, probe: null, ...ready },
    liveness: liveness ?? null,
    drain: {
      timeoutMs: DEFAULTS.drainTimeoutMs,
      streamTimeoutMs: DEFAULTS.streamTimeoutMs,
      moveConnections: true,
      ...drain,
    },
    rollout: { maxSurge: 1, maxUnavailable: 0, minReadyMs: 0, ...rollout },
    balance: { mode: 'auto', cookie: null, ...balance },
  };
}

export const clusterSpec = (changes: Changes = {}): AppSpec => appSpec({ mode: 'cluster', ...changes });

/** A record with one slot for each instance of its spec, from id `firstId` on. */
export function appRecord(spec: AppSpec, { key = 'k1', firstId = 0 } = {}): AppRecord {
  const slots = Array.from(
    { length: spec.instances },
    (_, index): Slot => ({ id: firstId + index, index, wanted: 'up' }),
  );
  return { key, spec, slots, createdAt: 1, previous: null, unproven: null, failedReload: null, origin: null };
}
