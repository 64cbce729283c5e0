import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { NODE, type Sandbox } from './harness.ts';

/** A command that goes on until it is interrupted. */
export interface RunningCommand {
  readonly stdout: () => string;
  /** Sends SIGINT. @returns the exit code. */
  readonly interrupt: () => Promise<number | null>;
  /** @returns the exit code, once it has ended by itself. */
  readonly ended: () => Promise<number | null>;
}

/** @param encoding of stdout; latin1 for its bytes. */
export function startCommand(
  box: Sandbox,
  args: readonly string[],
  encoding: 'utf8' | 'latin1' = 'utf8',
): RunningCommand {
  const child: ChildProcess = spawn(NODE, [join(process.cwd(), 'dist', 'upkeep.cjs'), ...args], {
    cwd: box.cwd,
    env: box.env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout?.setEncoding(encoding).on('data', (chunk: string) => {
    text += chunk;
  });
  const ended = once(child, 'close');
  return {
    stdout: () => text,
    ended: async () => {
      await ended;
      return child.exitCode;
    },
    interrupt: async () => {
      child.kill('SIGINT');
      await ended;
      return child.exitCode;
    },
  };
}
