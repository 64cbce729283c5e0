#!/usr/bin/env node
// node bench/thousand.mjs [--counts 100,300,1000] [--program sleep|node] [--one]: many instances on one machine.
// Linux only. See README.md beside it.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { openRunFolder } from '../scripts/run-folder.mjs';
import { runCommand } from './lib/command.mjs';
import { baseEnvironment } from './lib/environment.mjs';
import { cpuTime, killAll, privateMemory, processesOf } from './lib/processes.mjs';

const LIMIT_MS = 300_000;
const SETTLE_MS = 10_000;
const WINDOW_MS = 20_000;
const dist = join(import.meta.dirname, '..', 'dist');

const { values } = parseArgs({
  options: {
    counts: { type: 'string', default: '100,300,1000' },
    program: { type: 'string', default: 'sleep' },
    // One app with that many instances, instead of that many apps.
    one: { type: 'boolean', default: false },
  },
});

const programs = {
  sleep: { script: '/bin/sleep', args: '1000000', interpreter: 'none' },
  node: { script: join(import.meta.dirname, 'apps', 'idle.cjs') },
};

const timed = async (action) => {
  const from = performance.now();
  await action();
  return performance.now() - from;
};

const until = async (holds, what) => {
  const end = performance.now() + LIMIT_MS;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`waited ${LIMIT_MS} ms for ${what}`);
    await sleep(20);
  }
};

/** Of what a daemon, or a supervisor, is called. */
const pidOf = (home, kind) =>
  processesOf('UPKEEP_HOME', home).find((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').startsWith(`upkeep ${kind}`);
    } catch {
      return false;
    }
  });

/** ms of CPU a second. */
const idleCpu = async (pids) => {
  const before = pids.map((pid) => cpuTime([pid]));
  await sleep(WINDOW_MS);
  return pids.map((pid, index) => ((cpuTime([pid]) - before[index]) / WINDOW_MS) * 1000);
};

const measure = async (count) => {
  const home = join(mkdtempSync(join(tmpdir(), 'upkeep-thousand-')), 'home');
  const env = { ...baseEnvironment(), UPKEEP_HOME: home };
  const upkeep = (...args) =>
    runCommand([process.execPath, join(dist, 'upkeep.cjs'), ...args], { env, limitMs: LIMIT_MS });
  const rows = async () => {
    const { output } = await upkeep('list', '--json');
    return JSON.parse(output);
  };
  /** Whether each runs in the process that it is expected to run in. */
  const areBack = async (pids) => {
    try {
      const now = await rows();
      return now.every(({ state, pid }, index) => state.kind === 'online' && pid === pids[index]);
    } catch {
      return false;
    }
  };
  const figures = {};
  try {
    const program = programs[values.program];
    const apps = values.one
      ? [{ name: 'app', ...program, instances: count, exec_mode: 'fork' }]
      : Array.from({ length: count }, (_, index) => ({ name: `app-${index}`, ...program }));
    const file = join(home, '..', 'eco.config.json');
    writeFileSync(file, JSON.stringify({ apps }));

    await upkeep('list');
    figures['start, ms'] = await timed(() => upkeep('start', file));
    const daemon = pidOf(home, 'daemon');
    const supervisor = pidOf(home, 'supervisor');
    const both = [daemon, supervisor];
    await sleep(SETTLE_MS);
    [figures['daemon idle, ms/s'], figures['supervisor idle, ms/s']] = await idleCpu(both);
    [figures['daemon, MB'], figures['supervisor, MB']] = both.map((pid) => privateMemory([pid]));
    const five = async (...args) => {
      const times = [];
      for (let round = 0; round < 5; round++) times.push(await timed(() => upkeep(...args)));
      return times.toSorted((a, b) => a - b)[2];
    };
    figures['list, ms'] = await five('list');
    figures['jlist, ms'] = await five('jlist');
    figures['jlist, kB'] = (await upkeep('jlist')).output.length / 1024;
    figures['restart one, ms'] = await five('restart', '0');
    figures['restart all, ms'] = await timed(() => upkeep('restart', 'all'));

    let pids = (await rows()).map(({ pid }) => pid);
    process.kill(pids[0], 'SIGKILL');
    figures['an app killed, ms'] = await timed(() => until(async () => (await rows())[0].pid !== pids[0], 'the app'));
    await until(async () => (await rows())[0].state.kind === 'online', 'the app');
    pids = (await rows()).map(({ pid }) => pid);

    process.kill(pidOf(home, 'daemon'), 'SIGKILL');
    figures['daemon killed, ms'] = await timed(() => until(() => areBack(pids), 'the daemon'));
    process.kill(supervisor, 'SIGKILL');
    figures['supervisor killed, ms'] = await timed(() => until(() => areBack(pids), 'the supervisor'));
    await sleep(SETTLE_MS);
    [figures['adopted idle, ms/s']] = await idleCpu([pidOf(home, 'supervisor')]);
    figures['restart all adopted, ms'] = await timed(() => upkeep('restart', 'all'));
    figures['delete all, ms'] = await timed(() => upkeep('delete', 'all'));
  } finally {
    await upkeep('kill').catch(() => {});
    await killAll(() => processesOf('UPKEEP_HOME', home));
    rmSync(join(home, '..'), { recursive: true, force: true });
  }
  return figures;
};

const endRun = openRunFolder();
const counts = values.counts.split(',').map(Number);
const columns = [];
for (const count of counts) {
  columns.push(await measure(count));
  console.error(`${count} done`);
}
console.log(`| ${values.one ? 'one app' : 'apps'} (${values.program}) | ${counts.join(' | ')} |`);
console.log(`| --- | ${counts.map(() => '---:').join(' | ')} |`);
for (const name of Object.keys(columns[0])) {
  const row = columns.map((figures) => (figures[name] < 10 ? figures[name].toFixed(1) : Math.round(figures[name])));
  console.log(`| ${name} | ${row.join(' | ')} |`);
}
await endRun();
