#!/usr/bin/env node
// node bench/run.mjs [case ...]: measures upkeep against pm2 and bare Node. See README.md beside it.
import { cpus, loadavg, release } from 'node:os';
import { parseArgs } from 'node:util';
import { openRunFolder } from '../scripts/run-folder.mjs';
import * as blockedWorker from './cases/blocked-worker.mjs';
import * as failures from './cases/failures.mjs';
import * as idleCpu from './cases/idle-cpu.mjs';
import * as keepAlive from './cases/keep-alive.mjs';
import * as list from './cases/list.mjs';
import * as logsFormats from './cases/logs-formats.mjs';
import * as logsKept from './cases/logs-kept.mjs';
import * as logsLine from './cases/logs-line.mjs';
import * as logsMany from './cases/logs-many.mjs';
import * as logsNode from './cases/logs-node.mjs';
import * as logsTail from './cases/logs-tail.mjs';
import * as memory from './cases/memory.mjs';
import * as newConnections from './cases/new-connections.mjs';
import * as recover from './cases/recover.mjs';
import * as reload from './cases/reload.mjs';
import * as reloadIdle from './cases/reload-idle.mjs';
import * as soak from './cases/soak.mjs';
import * as soakKinds from './cases/soak-kinds.mjs';
import * as spread from './cases/spread.mjs';
import * as start50 from './cases/start-50.mjs';
import * as startCold from './cases/start-cold.mjs';
import * as startWarm from './cases/start-warm.mjs';
import * as worker from './cases/worker.mjs';
import { bareSide } from './lib/bare.mjs';
import { closeAll, closeOnSignals } from './lib/cleanup.mjs';
import { toRows, toTable } from './lib/report.mjs';
import { findSides, sideNames } from './lib/sides.mjs';

const cases = new Map([
  ['list', list],
  ['start-warm', startWarm],
  ['start-cold', startCold],
  ['start-50', start50],
  ['worker', worker],
  ['memory', memory],
  ['idle-cpu', idleCpu],
  ['recover', recover],
  ['keep-alive', keepAlive],
  ['new-connections', newConnections],
  ['spread', spread],
  ['blocked-worker', blockedWorker],
  ['reload', reload],
  ['reload-idle', reloadIdle],
  ['failures', failures],
  ['soak', soak],
  ['soak-kinds', soakKinds],
  ['logs-line', logsLine],
  ['logs-node', logsNode],
  ['logs-many', logsMany],
  ['logs-formats', logsFormats],
  ['logs-tail', logsTail],
  ['logs-kept', logsKept],
]);

const usage = `node bench/run.mjs [case ...] [--rounds N] [--sides ${sideNames.join(',')}] [--json]
cases: ${[...cases.keys()].join(' ')} (default: all)`;

const readArguments = () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      rounds: { type: 'string' },
      sides: { type: 'string', default: sideNames.join(',') },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const chosen = positionals.length > 0 ? positionals : [...cases.keys()];
  const unknownCase = chosen.find((name) => !cases.has(name));
  if (unknownCase) throw new Error(`no case "${unknownCase}"`);
  const sides = values.sides.split(',');
  const unknownSide = sides.find((name) => !sideNames.includes(name));
  if (unknownSide) throw new Error(`no side "${unknownSide}"`);
  const rounds = values.rounds === undefined ? undefined : Number(values.rounds);
  if (rounds !== undefined && !(Number.isInteger(rounds) && rounds > 0)) throw new Error('--rounds takes a number');
  return { chosen, sides, rounds, json: values.json, help: values.help };
};

const runCase = async (name, { sides, rounds, notes }) => {
  const { about, measure } = cases.get(name);
  const missing = await about.missing?.();
  if (missing) {
    notes.push(`${name} is left out: ${missing}`);
    return [];
  }
  const all = about.needsBare && !sides.includes(bareSide) ? [...sides, bareSide] : sides;
  const startedAt = performance.now();
  console.error(`${name}: ${rounds ?? about.rounds} rounds of ${all.map((side) => side.name).join(', ')}`);
  const samples = await measure({ sides: all, rounds: rounds ?? about.rounds });
  console.error(`${name}: took ${((performance.now() - startedAt) / 1000).toFixed(0)} s`);
  return toRows(name, about, samples);
};

const machine = () => ({
  node: process.version,
  system: `${process.platform} ${release()}`,
  cpu: `${cpus().length} x ${cpus()[0].model.trim()}`,
  load: loadavg()[0].toFixed(2),
});

let endRun = async () => {};

const main = async () => {
  const options = readArguments();
  if (options.help) {
    console.log(usage);
    return;
  }
  closeOnSignals();
  const about = machine();
  const { sides, notes } = await findSides(options.sides);
  endRun = openRunFolder();
  const rows = [];
  // With no side left there is nothing to measure, and the notes say why.
  for (const name of sides.length > 0 ? options.chosen : []) {
    try {
      rows.push(...(await runCase(name, { sides, rounds: options.rounds, notes })));
    } catch (error) {
      notes.push(`${name} failed: ${error.message}`);
      process.exitCode = 1;
    }
  }
  if (options.json) {
    console.log(JSON.stringify({ machine: about, notes, rows }, undefined, 2));
    return;
  }
  console.log(`${about.cpu}, ${about.system}, Node ${about.node}, load ${about.load} before\n`);
  if (rows.length > 0) console.log(toTable(rows));
  for (const note of notes) console.log(`\n${note}`);
};

try {
  await main();
} catch (error) {
  console.error(`${error.message}\n${usage}`);
  process.exitCode = 2;
} finally {
  await closeAll();
  await endRun();
}
