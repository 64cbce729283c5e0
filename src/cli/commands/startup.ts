import { quote } from '../../config/program.ts';
import { UpkeepError } from '../../protocol/errors.ts';
import { makeHome, resolveHome } from '../../protocol/home.ts';
import { choosePlan } from '../boot/choose-plan.ts';
import { type Machine, thisMachine } from '../boot/machine.ts';
import { type BootPlan, type BootStep, type BootTarget, type InitSystem, WRITTEN_BY } from '../boot/target.ts';
import type { Context, Options, Run } from '../command.ts';
import { dim, green, red } from '../render/colours.ts';

export const startup: Run = async (context, [platform], options) => setUp(context, thisMachine, platform, options);
export const unstartup: Run = async (context, [platform], options) => undo(context, thisMachine, platform, options);

/** Has the init system start upkeep at boot. @returns the exit code. */
export function setUp(context: Context, machine: Machine, platform: string | undefined, options: Options): number {
  const { plan, target } = choosePlan(context, machine, platform, options);
  const end = announce(context, machine, { plan, target, verb: 'startup' }, options);
  if (end !== null) return end;
  const { SUDO_USER: caller } = context.env;
  if (target.user === 'root' && caller !== undefined && caller !== 'root' && !options['user'])
    context.out.problem(`upkeep: this is for the apps of root; for those of ${caller}, add -u ${caller}`);
  if (plan.rival !== null && machine.read(plan.rival) !== null) {
    const hint = 'undo that first, by `upkeep unstartup`';
    throw new UpkeepError('INIT_FAILED', `${plan.rival} starts upkeep for ${target.user} already`, { hint });
  }
  if (!plan.needsRoot) makeHome(resolveHome({ UPKEEP_HOME: target.home }));
  const done = plan.startup.every((step) => carryOut(context, machine, step));
  if (options['json']) context.out.data(asJson(plan, plan.startup, done, null));
  else if (done) {
    context.out.note(`${green('✓')} ${plan.service} is set up; \`upkeep unstartup\` undoes it`);
    if (plan.remark !== null) context.out.note(plan.remark);
  }
  return done ? 0 : 1;
}

/** Removes what `setUp` has made; what runs goes on. @returns the exit code. */
export function undo(context: Context, machine: Machine, platform: string | undefined, options: Options): number {
  const { plan, target } = choosePlan(context, machine, platform, options);
  const there = plan.unstartup.some((step) => step.kind === 'remove' && machine.read(step.path) !== null);
  if (!there && !options['dryRun']) {
    context.out.note(`nothing to undo: ${plan.service} is not set up`);
    if (plan.rival !== null && machine.read(plan.rival) !== null)
      context.out.note(`${plan.rival} is: \`upkeep unstartup ${otherInit(plan.init)}\``);
    return 0;
  }
  const end = announce(context, machine, { plan, target, verb: 'unstartup' }, options);
  if (end !== null) return end;
  // What can be removed is, whatever fails.
  const done = plan.unstartup.map((step) => carryOut(context, machine, step)).every(Boolean);
  if (options['json']) context.out.data(asJson(plan, plan.unstartup, done, null));
  else if (done) context.out.note(`${green('✓')} ${plan.service} is removed; what runs goes on`);
  return done ? 0 : 1;
}

function otherInit(init: InitSystem): string {
  return init.endsWith('-user') ? init.replace('-user', '') : `${init}-user`;
}

interface Intent {
  readonly plan: BootPlan;
  readonly target: BootTarget;
  readonly verb: 'startup' | 'unstartup';
}

/** Tells what is going to be done. @returns the exit code where that is all that may be done. */
function announce(context: Context, machine: Machine, intent: Intent, options: Options): number | null {
  const { out } = context;
  const { plan, verb } = intent;
  const steps = plan[verb];
  const denied = plan.needsRoot && machine.uid !== 0;
  const command = denied ? rootCommand(context, intent, options) : null;
  if (options['json']) {
    if (!denied && !options['dryRun']) return null;
    out.data(asJson(plan, steps, false, command));
    return options['dryRun'] ? 0 : 1;
  }
  if (options['dryRun']) {
    out.data(asText(steps));
    return 0;
  }
  out.note(dim(asText(steps)));
  if (command === null) return null;
  out.problem('upkeep: nothing is done yet, as all this needs root. Run:');
  out.data(command);
  return 1;
}

function asText(steps: readonly BootStep[]): string {
  const lines = steps.flatMap((step) => {
    switch (step.kind) {
      case 'write':
        return [
          `write ${step.path}`,
          ...step.text
            .trimEnd()
            .split('\n')
            .map((line) => `    ${line}`.trimEnd()),
        ];
      case 'remove':
        return [`remove ${step.path}`];
      case 'run':
        return [`run ${commandLine(step.command)}`];
    }
  });
  return lines.join('\n');
}

function asJson(plan: BootPlan, steps: readonly BootStep[], done: boolean, command: string | null): string {
  const { init, service } = plan;
  return JSON.stringify({ init, service, done, command, steps });
}

/** The same command, as root has to give it. */
function rootCommand({ env, execPath, program }: Context, { plan, target, verb }: Intent, options: Options): string {
  const folder = execPath.slice(0, execPath.lastIndexOf('/'));
  const words = [
    'sudo env',
    // For `#!/usr/bin/env node`, and so that root finds the same Node.js.
    `PATH=$PATH:${quote(folder)}`,
    ...(env['UPKEEP_HOME'] ? [`UPKEEP_HOME=${quote(env['UPKEEP_HOME'])}`] : []),
    commandLine([program, verb, plan.init, '-u', target.user, '--hp', target.userHome]),
    ...(options['serviceName'] ? ['--service-name', quote(target.service)] : []),
    ...(target.waitIp && verb === 'startup' ? ['--wait-ip'] : []),
  ];
  return words.join(' ');
}

/** @returns whether it is done. @throws UpkeepError INIT_FAILED where that is no question of permission. */
function carryOut({ out }: Context, machine: Machine, step: BootStep): boolean {
  switch (step.kind) {
    case 'write':
      refuseForeign(machine, step.path);
      machine.write(step.path, step.text, step.mode ?? 0o644);
      return true;
    case 'remove':
      refuseForeign(machine, step.path);
      machine.remove(step.path);
      return true;
    case 'run': {
      if (step.unless && machine.run(step.unless) === null) return true;
      const problem = machine.run(step.command);
      if (problem === null) return true;
      out.problem(`${red('✗')} ${commandLine(step.command)}: ${problem}`);
      if (step.otherwise) {
        out.problem(`  ${step.otherwise.missing} until root has run:`);
        out.data(commandLine(['sudo', ...step.otherwise.command]));
      }
      return false;
    }
  }
}

function refuseForeign(machine: Machine, path: string): void {
  const text = machine.read(path);
  if (text === null || text.includes(WRITTEN_BY)) return;
  throw new UpkeepError('INIT_FAILED', `${path} is there, and was not written by upkeep`, {
    hint: 'name another with --service-name, or move it away',
  });
}

function commandLine(words: readonly string[]): string {
  return words.map(quote).join(' ');
}
