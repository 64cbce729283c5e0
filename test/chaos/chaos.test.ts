import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { InstanceView } from '../../src/protocol/messages.ts';
import { Load } from '../e2e/clients.ts';
import { fixture, type Result, type Sandbox, sandbox } from '../e2e/harness.ts';
import { commandLine, isAlive, processesWith } from '../e2e/processes.ts';
import { until } from '../e2e/until.ts';
import { Random } from './random.ts';

/**
 * Kills upkeep's own processes at random moments, in the middle of every kind of command and under load, and looks
 * whether what was promised holds. `npm run chaos -- --minutes 30 --seed 1` goes on for longer, or repeats a run.
 */

const MINUTES = Number(process.env['CHAOS_MINUTES'] ?? 0.8);
const SEED = Number(process.env['CHAOS_SEED'] ?? 1);
/** Longer than any command of the run takes, so that a kill meets all of its steps. */
const LATEST_KILL_MS = 700;
const STOPPED_MS = 300;

type Victim = 'daemon' | 'supervisors' | 'everything' | 'daemon, stopped' | 'an app' | 'nobody';

interface Figures {
  readonly kills: Record<Victim, number>;
  commands: number;
  commandsCutShort: number;
  requests: number;
  lines: number;
  gaps: number;
}

/** What a command that was cut short may say. */
const CUT_SHORT =
  /ended before|the daemon ended|does not answer|is running|was deleted by another command|no app, namespace or id|there is an app named|cannot connect|called off|stopped by command before/;

class Chaos {
  readonly #box: Sandbox;
  readonly #random: Random;
  readonly #load: Load;
  readonly figures: Figures = {
    kills: { daemon: 0, supervisors: 0, everything: 0, 'daemon, stopped': 0, 'an app': 0, nobody: 0 },
    commands: 0,
    commandsCutShort: 0,
    requests: 0,
    lines: 0,
    gaps: 0,
  };

  constructor(box: Sandbox, random: Random, load: Load) {
    this.#box = box;
    this.#random = random;
    this.#load = load;
  }

  async step(): Promise<void> {
    const random = this.#random;
    const command = random.of<readonly string[]>([
      ['reload', 'web'],
      ['scale', 'web', String(2 + random.below(3))],
      ['restart', 'job'],
      ['stop', 'job'],
      ['start', 'job'],
      ['restart', 'lines'],
      ['start', 'sleep 1000', '--name', 'extra', '-f'],
      ['delete', 'extra'],
      ['list'],
    ]);
    const victim = random.of<Victim>([
      'daemon',
      'daemon',
      'supervisors',
      'everything',
      'daemon, stopped',
      'an app',
      'nobody',
    ]);
    const at = random.below(LATEST_KILL_MS);
    const [result] = await Promise.all([this.#box.upkeep(...command), sleep(at).then(() => this.#kill(victim))]);
    this.#judge(command, victim, result);
    const what = `${command.join(' ')}, ${victim} killed after ${at} ms`;
    await this.#settled(what);
    if (this.#load.failures.length === 0) return;
    const { stdout } = await this.#box.ok('describe', 'web');
    assert.fail(`after ${what} (seed ${this.#random.seed}):\n${this.#load.failures.join('\n')}\n${stdout}`);
  }

  async #kill(victim: Victim): Promise<void> {
    this.figures.kills[victim]++;
    const daemons = processesWith(this.#box.home).filter((pid) => commandLine(pid).startsWith('upkeep daemon'));
    switch (victim) {
      case 'daemon':
        return end(daemons);
      case 'supervisors':
        return end(this.#box.supervisors());
      case 'everything': {
        const all = [...daemons, ...this.#box.supervisors()];
        // None may bring another back in between.
        for (const pid of all) signal(pid, 'SIGSTOP');
        return end(all);
      }
      case 'daemon, stopped':
        for (const pid of daemons) signal(pid, 'SIGSTOP');
        await sleep(STOPPED_MS);
        for (const pid of daemons) signal(pid, 'SIGCONT');
        return undefined;
      case 'an app':
        // One whose requests nobody counts.
        return end(processesWith(fixture('talks.js')).filter((pid) => processesWith(this.#box.home).includes(pid)));
      case 'nobody':
        return undefined;
    }
  }

  #judge(command: readonly string[], victim: Victim, { code, stderr, stdout }: Result): void {
    this.figures.commands++;
    if (code === 0) return;
    this.figures.commandsCutShort++;
    const said = `upkeep ${command.join(' ')} (${victim}) -> ${code}\n${stdout}${stderr}`;
    assert.ok(code === 1 || code === 2, said);
    // `delete extra` where there is none, and a job that was killed while it started, are told so too.
    assert.ok(CUT_SHORT.test(stderr) || victim === 'an app', said);
  }

  /** Everything that is wanted runs, once. */
  async #settled(after: string): Promise<void> {
    let rows: readonly InstanceView[] = [];
    const calm = async (): Promise<boolean> => {
      rows = JSON.parse((await this.#box.ok('list', '--json')).stdout) as readonly InstanceView[];
      // A reload whose command was cut short may still go on.
      const states = rows.map(({ state, draining, successor }) =>
        draining.length > 0 || successor ? 'in a reload' : state.kind,
      );
      const alive = rows.every(({ pid }) => pid === null || isAlive(pid));
      return rows.length > 0 && alive && states.every((kind) => kind === 'online' || kind === 'stopped');
    };
    const where = (): string => `after ${after} (seed ${this.#random.seed}):\n${JSON.stringify(rows, null, 1)}`;
    await until(calm, 'all to be online or stopped', where);
    const copies = (): string[] => {
      const known = new Set(rows.flatMap(({ pid }) => pid ?? []));
      return processesWith(this.#box.home)
        .filter((pid) => isAlive(pid) && idOf(pid) !== null && !known.has(pid) && !hasKnownParent(pid, known))
        .map((pid) => `${pid} ${commandLine(pid)}`);
    };
    await until(
      () => copies().length === 0,
      'no second copy of anything',
      () => `${copies().join('\n')}\n${where()}`,
    );
  }
}

function end(pids: readonly number[]): void {
  for (const pid of pids) signal(pid, 'SIGKILL');
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has just ended.
  }
}

/** The id of the instance that a process belongs to. */
function idOf(pid: number): string | null {
  return /(?:^|\0)pm_id=(\d+)/.exec(proc(pid, 'environ'))?.[1] ?? null;
}

/** The children of an app are its own. */
function hasKnownParent(pid: number, known: ReadonlySet<number>): boolean {
  const parent = Number(/^PPid:\t(\d+)$/m.exec(proc(pid, 'status'))?.[1]);
  return known.has(parent) || (parent > 1 && hasKnownParent(parent, known));
}

function proc(pid: number, file: string): string {
  try {
    return readFileSync(join('/proc', String(pid), file), 'latin1');
  } catch {
    return '';
  }
}

/** Lines are there once, in order, within each run; a gap is what a supervisor that was killed had in its hands. */
function checkLines(figures: Figures, log: string): void {
  let last = 0;
  for (const [, text] of log.matchAll(/^line (\d+)$/gm)) {
    const number = Number(text);
    assert.ok(number > last || number === 1, `line ${number} comes after line ${last}`);
    if (number > 1 && number > last + 1) figures.gaps++;
    figures.lines++;
    last = number;
  }
  const torn = log.split('\n').find((line) => line !== '' && !/^(line \d+|message .*|upkeep: .*)$/.test(line));
  assert.equal(torn, undefined, 'a torn line');
}

test('upkeep is killed at random', { timeout: MINUTES * 60_000 + 60_000 }, async (t) => {
  console.log(`chaos: seed ${SEED}, ${MINUTES} minutes`);
  const box = await sandbox(t);
  await box.ok('start', fixture('load/http.js'), '--name', 'web', '-i', '2', '--kill-timeout', '5000');
  await box.ok('start', fixture('talks.js'), '--name', 'job', '--shutdown-with-message', '--max-restarts', '1000');
  await box.ok('start', fixture('talks.js'), '--name', 'lines', '--max-restarts', '1000');
  const target = { port: box.port };
  const small = (index: number): string => `/bytes/${index % 3000}`;
  const load = new Load(t)
    .keepAlive(target, small)
    .keepAlive(target, () => '/slow/150')
    .keepAlive(target, small, 900);
  const chaos = new Chaos(box, new Random(SEED), load);
  const deadline = Date.now() + MINUTES * 60_000;
  while (Date.now() < deadline) await chaos.step();
  const { answers, failures } = await load.stop();
  const { figures } = chaos;
  figures.requests = answers + failures.length;
  for (const name of ['job', 'lines']) checkLines(figures, box.log(`${name}-out.log`));
  console.log(`chaos: ${JSON.stringify({ seed: SEED, ...figures, failed: failures.length })}`);
  assert.deepEqual(failures, [], `seed ${SEED}`);
});
