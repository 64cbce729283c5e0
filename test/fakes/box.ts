import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { Daemon } from '../../src/daemon/daemon.ts';
import { Dump } from '../../src/daemon/dump.ts';
import { openState } from '../../src/daemon/open-state.ts';
import { loadState } from '../../src/daemon/state-file.ts';
import type { AppSpec } from '../../src/domain/app-spec.ts';
import { Sampler } from '../../src/metrics/sampler.ts';
import type { AppRecord } from '../../src/protocol/messages.ts';
import { FakeMachine } from './machine.ts';
import { tempFolder } from './temp-folder.ts';

/** A machine with a home, and daemons that come and go on it. */
export class Box {
  readonly machine = new FakeMachine();
  readonly statePath: string;
  readonly dumpPath: string;

  constructor(t: TestContext) {
    const folder = tempFolder(t);
    this.statePath = join(folder, 'state.json');
    this.dumpPath = join(folder, 'dump.json');
  }

  /** A daemon that has read the state and adopted what runs. */
  async daemon(): Promise<Daemon> {
    const { machine } = this;
    const { registry, journal, complete } = await openState(this.statePath, machine.log);
    const sampler = new Sampler((pids) => pids.map((pid) => ({ ...blankStat, pid, rssBytes: pid * 1000 })));
    const daemon = new Daemon(machine, registry, journal, new Dump(this.dumpPath), sampler);
    await daemon.resume(complete);
    return daemon;
  }

  /** What another daemon would find on disk. */
  async saved(): Promise<readonly AppRecord[]> {
    return (await loadState(this.statePath)).apps;
  }
}

const blankStat = { pid: 0, ppid: 1, group: 1, zombie: false, startTime: '1', cpuMs: 0, rssBytes: 0 };

export const start = (daemon: Daemon, ...specs: AppSpec[]) => daemon.apply({ specs, existing: 'error' });
export const states = (daemon: Daemon) =>
  daemon.views.list().map(({ id, name, state }) => `${id} ${name} ${state.kind}`);
export const pids = (daemon: Daemon) => daemon.views.list().map(({ pid }) => pid);

/** From here on a daemon is dead: it does nothing about what it loses. */
export async function silence(box: Box, daemon: Daemon): Promise<void> {
  await daemon.leave();
  for (const supervisor of box.machine.supervisors.values()) supervisor.disconnect();
}
