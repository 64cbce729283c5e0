import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { NODE, type Sandbox } from './harness.ts';

/** A command that goes on until it is interrupted. */
export interface RunningCommand {
  readonly stdout: () => string;
  /** Sends SIGINT. @returns the exit code. */
  readonly interrupt: () => Promise<number | null>;
}

export function startCommand(box: Sandbox, args: readonly string[]): RunningCommand {
  const child: ChildProcess = spawn(NODE, [join(process.cwd(), 'dist', 'upkeep.cjs'), ...args], {
    cwd: box.cwd,
    env: box.env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  const ended = once(child, 'close');
  return {
    stdout: () => text,
    interrupt: async () => {
      child.kill('SIGINT');
      await ended;
      return child.exitCode;
    },
  };
}
