import type { InstanceView, LostLines } from '../../protocol/messages.ts';
import { bold, dim, gray, yellow } from './colours.ts';
import { plain } from './plain.ts';
import { colourStatus } from './status.ts';
import { type Column, renderTable } from './table.ts';
import { formatBytes, formatDuration } from './units.ts';

const FIELDS = {
  id: (view: InstanceView) => view.id,
  name: (view: InstanceView) => view.name,
  mode: (view: InstanceView) => view.mode,
  pid: (view: InstanceView) => view.pid ?? 0,
  uptime: (view: InstanceView) => -('since' in view.state ? view.state.since : Number.MAX_SAFE_INTEGER),
  restarts: (view: InstanceView) => view.restarts,
  status: (view: InstanceView) => view.state.kind,
  cpu: (view: InstanceView) => view.cpuPercent ?? -1,
  memory: (view: InstanceView) => view.rssBytes ?? -1,
} as const;

export const SORT_FIELDS: readonly string[] = Object.keys(FIELDS);

/** Sorts by `field` or `field:desc`; an unknown field leaves the order. */
export function sortViews(views: readonly InstanceView[], order: string): readonly InstanceView[] {
  const [field = '', direction] = order.split(':');
  const by = FIELDS[field as keyof typeof FIELDS];
  if (!by) return views;
  const sign = direction === 'desc' ? -1 : 1;
  return views.toSorted((a, b) => {
    const [left, right] = [by(a), by(b)];
    return left === right ? 0 : left < right ? -sign : sign;
  });
}

const COLUMNS: readonly Column[] = [
  { title: 'id', align: 'right' },
  { title: 'name', align: 'left' },
  { title: 'mode', align: 'left' },
  { title: 'pid', align: 'right' },
  { title: 'uptime', align: 'right' },
  { title: 'restarts', align: 'right' },
  { title: 'status', align: 'left' },
  { title: 'cpu', align: 'right' },
  { title: 'memory', align: 'right' },
];

/** The table that `list` shows, with a line for what is worth knowing about instances that do not serve, or whose logs have gaps. */
export function renderList(views: readonly InstanceView[], now: number): string {
  if (views.length === 0) return 'No apps yet. Start one: upkeep start app.js';
  const namespaces = new Set(views.map(({ namespace }) => namespace)).size > 1;
  const rows = views.map((view) => {
    const runs = view.state.kind === 'online' || view.state.kind === 'starting';
    return [
      String(view.id),
      namespaces ? `${dim(`${plain(view.namespace)}/`)}${plain(view.name)}` : plain(view.name),
      view.mode,
      String(view.pid ?? '-'),
      runs && 'since' in view.state ? formatDuration(now - view.state.since) : '-',
      String(view.restarts),
      colourStatus(view),
      view.cpuPercent === null ? '-' : `${view.cpuPercent}%`,
      view.rssBytes === null ? '-' : formatBytes(view.rssBytes),
    ];
  });
  return [renderTable(COLUMNS, rows, gray, bold), ...notes(views, now)].join('\n');
}

/** Why instances do not serve, or lose logs, said once for those of one app that share a reason. */
function notes(views: readonly InstanceView[], now: number): string[] {
  const ids = new Map<string, number[]>();
  const texts = new Map<string, string>();
  for (const view of views) {
    for (const text of [explain(view, now), view.lost && gapsIn(view.lost)]) {
      if (text === null) continue;
      const key = `${view.name}\0${text}`;
      texts.set(key, text);
      const group = ids.get(key);
      if (group) group.push(view.id);
      else ids.set(key, [view.id]);
    }
  }
  return [...texts].map(([key, text]) => {
    const [name] = key.split('\0');
    return yellow(plain(`${name} (${ids.get(key)?.join(', ')}) ${text}`));
  });
}

/** Without numbers, so that it is the same of all instances whose disk is full. What is over, `describe` tells. */
function gapsIn({ because }: LostLines): string | null {
  return because === null ? null : `is losing what it writes to its logs: ${because}`;
}

function explain({ state, unhealthy }: InstanceView, now: number): string | null {
  if (unhealthy !== null) return `is unhealthy: ${unhealthy}`;
  if (state.kind === 'errored') return `is errored: ${state.reason}`;
  return state.kind === 'backoff' ? `${state.reason}; next try in ${formatDuration(state.until - now + 999)}` : null;
}
