import { releaseOf } from '../../config/plan.ts';
import { type AppSpec, GRACE_MS } from '../../domain/app-spec.ts';
import { describeExit, neverRan } from '../../domain/restart-policy.ts';
import { canReusePort } from '../../domain/reuse-port.ts';
import type { AppView } from '../../protocol/messages.ts';
import type { Run } from '../command.ts';
import { bold, dim } from '../render/colours.ts';
import { plain } from '../render/plain.ts';
import { colourStatus } from '../render/status.ts';
import { formatBytes, formatDuration } from '../render/units.ts';

type Row = readonly [label: string, value: string];

export const describe: Run = async ({ connect, out }, [target = ''], options) => {
  const client = await connect();
  const apps = await client.call('describe', { selectors: [target] });
  if (options['json']) out.data(JSON.stringify(apps.map(withoutEnv)));
  else out.data(apps.map((app) => renderApp(app, Date.now())).join('\n\n'));
  return 0;
};

/** Secrets live in environments: `upkeep env` shows them to who asks. */
function withoutEnv({ app, ...rest }: AppView): unknown {
  const { previous, unproven } = app;
  const specs = {
    spec: specWithoutEnv(app.spec),
    previous: specWithoutEnv(previous),
    unproven: unproven && { served: specWithoutEnv(unproven.served) },
  };
  return { app: { ...app, ...specs }, ...rest };
}

function specWithoutEnv(spec: AppSpec | null): unknown {
  if (!spec) return null;
  const { env: _env, ...rest } = spec;
  return rest;
}

function renderApp({ app, instances, node = null }: AppView, now: number): string {
  const { spec } = app;
  const { program, restart, stop, ready } = spec;
  const command =
    program.script === program.exec
      ? [program.script, ...program.args]
      : [program.exec, ...program.interpreterArgs, program.script, ...program.args];
  const rows: Row[] = [
    ['namespace', spec.namespace],
    ['mode', `${spec.mode}, ${spec.instances} ${spec.instances === 1 ? 'instance' : 'instances'}`],
    ['command', command.map(shellWord).join(' ')],
    ['working directory', program.cwd],
    ['created', new Date(app.createdAt).toISOString()],
    ['ready when', readyWhen(spec)],
    ['restarts', restartsText(restart)],
    ['logs rotate', rotationText(spec.logs)],
    ['stop', `${stop.signal}, SIGKILL after ${stop.killTimeoutMs} ms`],
  ];
  if (ready.waitReady) rows.push(['listen timeout', `${ready.listenTimeoutMs} ms`]);
  rows.push(...furtherRows(spec, node));
  const head = [bold(plain(spec.name)), ...rows.map(([label, value]) => row(2, label, value))];
  return [...head, ...instances.map((instance) => renderInstance(instance, now, spec.mode))].join('\n');
}

function renderInstance(instance: AppView['instances'][number], now: number, mode: string): string {
  const { id, state, pid, restarts, exits, unhealthy, listens, logs, lost, cpuPercent, rssBytes } = instance;
  const { successor, draining } = instance;
  const rows: Row[] = [];
  if ('reason' in state) rows.push(['why', state.reason]);
  const nextStart = state.kind === 'backoff' ? state.until : state.kind === 'errored' ? state.nextTryAt : null;
  if (typeof nextStart === 'number') rows.push(['next start', `in ${formatDuration(nextStart - now + 999)}`]);
  if (pid !== null) rows.push(['pid', String(pid)]);
  if (successor) rows.push(['new one', `${successor.stage}, pid ${successor.pid ?? '-'}`]);
  if (draining.length > 0) rows.push(['draining', `pid ${draining.join(', ')}`]);
  if ('since' in state) rows.push(['uptime', formatDuration(now - state.since)]);
  if (pid !== null) rows.push(['listens on', listens.length > 0 ? listens.join(', ') : nowhere(mode, state.kind)]);
  if (rssBytes !== null)
    rows.push(['memory, cpu', `${formatBytes(rssBytes)}, ${cpuPercent === null ? '-' : `${cpuPercent}%`}`]);
  rows.push(['restarts', String(restarts)]);
  if (unhealthy !== null) rows.push(['unhealthy', unhealthy]);
  for (const [at, exit] of exits.entries()) {
    const ago = formatDuration(now - exit.at);
    const after = neverRan(exit) ? '' : ` after ${formatDuration(exit.uptimeMs)}`;
    rows.push([at === 0 ? 'last exits' : '', `${describeExit(exit)}${after}, ${ago} ago (${exit.reason})`]);
  }
  rows.push(['stdout', logs.out ?? 'not kept'], ['stderr', logs.error ?? 'not kept']);
  if (logs.combined) rows.push(['both', logs.combined]);
  if (lost) rows.push(['lost', lostText(lost)]);
  const status = `    ${dim('status'.padEnd(16))} ${colourStatus(instance)}`;
  return [`  ${bold(`instance ${id}`)}`, status, ...rows.map(([label, value]) => row(4, label, value))].join('\n');
}

function lostText({ lines, because }: NonNullable<AppView['instances'][number]['lost']>): string {
  const count = `${lines} ${lines === 1 ? 'line' : 'lines'} of the logs`;
  return because === null ? count : `${count}, and what comes now: ${because}`;
}

/** When logs are set aside, and what is kept of them. */
function rotationText({ rotation }: AppSpec['logs']): string {
  const { maxBytes, interval, retain, maxAgeMs, maxTotalBytes, compress } = rotation;
  const when = [
    ...(maxBytes === null ? [] : [`above ${formatBytes(maxBytes)}`]),
    ...(interval === 'never' ? [] : [interval]),
  ];
  if (when.length === 0) return 'never';
  const kept = [
    ...(retain === null ? [] : [`${retain} of each`]),
    ...(maxAgeMs === null ? [] : [`for ${formatDuration(maxAgeMs)}`]),
    ...(maxTotalBytes === null ? [] : [`${formatBytes(maxTotalBytes)} in all`]),
    ...(compress ? ['gzip'] : []),
  ];
  return `${when.join(' and ')}; kept: ${kept.length === 0 ? 'all' : kept.join(', ')}`;
}

/** What the app asks for beyond the defaults. */
function furtherRows(spec: AppSpec, node: string | null): Row[] {
  const { mode, program, liveness, drain, rollout, maxMemoryBytes, cron } = spec;
  const rows: Row[] = [];
  if (program.release) rows.push(['release', releaseOf(program)]);
  if (liveness) {
    const { check, intervalMs, failures, eventLoopMs } = liveness;
    const asked = check ? `${checkText(check)} every ${intervalMs} ms, ${failures} failures in a row` : null;
    const loop = eventLoopMs === null ? null : `event loop stands still for ${eventLoopMs} ms`;
    rows.push(['unhealthy after', [asked, loop].filter((part) => part !== null).join('; ')]);
  }
  if (maxMemoryBytes !== null) rows.push(['replaced above', formatBytes(maxMemoryBytes)]);
  if (cron !== null) rows.push(['replaced at', cron]);
  if (mode === 'cluster') {
    const idle = drain.moveConnections ? '' : ', idle connections are waited for';
    rows.push(['drain', `${drain.timeoutMs} ms at most, streams ${drain.streamTimeoutMs} ms${idle}`]);
    rows.push(['balance', balanceText(spec, node)]);
    const { maxSurge, maxUnavailable, minReadyMs } = rollout;
    const unavailable = maxUnavailable > 0 ? `, ${maxUnavailable} may be unavailable` : '';
    const ready = minReadyMs > 0 ? `, each ready for ${minReadyMs} ms` : '';
    rows.push(['reload', `${maxSurge} new at a time${unavailable}${ready}`]);
  }
  return rows;
}

function balanceText({ balance: { mode, cookie } }: AppSpec, node: string | null): string {
  if (mode === 'kernel' && node !== null && !canReusePort(node, process.platform)) {
    return `kernel (as rr: that needs Linux and Node.js 22.12, this is ${process.platform} and ${node})`;
  }
  return cookie === null ? mode : `${mode} by cookie ${cookie}`;
}

function checkText(check: NonNullable<AppSpec['ready']['probe']>['check']): string {
  switch (check.kind) {
    case 'http':
      return `http ${check.path}${check.port === null ? '' : ` on port ${check.port}`}`;
    case 'tcp':
      return check.port === null ? 'tcp' : `tcp on port ${check.port}`;
    case 'command':
      return `command ${check.command}`;
    case 'fd':
      return `a line on descriptor ${check.fd}`;
    case 'log':
      return `a line that matches /${check.pattern}/`;
  }
}

function readyWhen({ ready, mode, program }: AppView['app']['spec']): string {
  const { waitReady, probe } = ready;
  const words = waitReady ? ["it sends 'ready'"] : [];
  if (probe) words.push(`${checkText(probe.check)}, within ${probe.deadlineMs} ms`);
  if (words.length > 0) return words.join(' and ');
  if (program.runtime !== 'node') return `it has stayed up for ${GRACE_MS} ms`;
  const alone =
    mode === 'cluster'
      ? `it has stayed up for ${ready.listenTimeoutMs} ms after that`
      : `nothing of its start is pending, or it has stayed up for ${GRACE_MS} ms after that`;
  return `it listens and its main module has run; or, listening nowhere, ${alone}`;
}

function restartsText({ autorestart, maxRestarts, erroredRetry }: AppSpec['restart']): string {
  if (!autorestart) return 'no';
  const runs = `${maxRestarts} unstable ${maxRestarts === 1 ? 'run' : 'runs in a row'}`;
  return erroredRetry ? `yes; errored after ${runs}, and tried again now and then` : `yes, given up after ${runs}`;
}

function nowhere(mode: string, state: string): string {
  if (state === 'starting') return 'nowhere yet';
  return mode === 'cluster' ? 'nowhere: it shares no port' : 'unknown, or nowhere';
}

function row(indent: number, label: string, value: string): string {
  return `${' '.repeat(indent)}${dim(label.padEnd(20 - indent))} ${plain(value)}`;
}

/** As it would be typed. */
function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
