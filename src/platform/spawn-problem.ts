import { existsSync } from 'node:fs';
import type { ProgramSpec } from '../domain/app-spec.ts';
import { away, shortageOf } from '../domain/shortage.ts';

/** Why no process could be made. `short`: that is no fault of the app, and passes. */
export interface SpawnProblem {
  readonly reason: string;
  readonly short: boolean;
}

export type Runnable = Pick<ProgramSpec, 'exec' | 'script' | 'cwd'>;

/** @throws Shortage where what runs the program is not there: it was when the app was started. */
export function requireInterpreter({ exec, script }: Runnable): void {
  if (exec !== script && !existsSync(exec)) throw away(exec);
}

/** @param program what was to be started. */
export function spawnProblem(error: NodeJS.ErrnoException, program: Runnable): SpawnProblem {
  const shortage = shortageOf(error) ?? shortageOf(awayFor(error, program));
  if (shortage !== null) return { reason: shortage, short: true };
  return { reason: `cannot start ${program.exec}: ${tell(error, program)}`, short: false };
}

/** The system has one code for all that may be missing. */
function awayFor({ code }: NodeJS.ErrnoException, program: Runnable): unknown {
  if (code !== 'ENOENT') return null;
  try {
    requireInterpreter(program);
    return null;
  } catch (missing) {
    return missing;
  }
}

function tell({ code, message }: NodeJS.ErrnoException, { exec, cwd }: Runnable): string {
  if (code === 'EACCES') return 'no permission to execute it, or to enter its working directory';
  if (code !== 'ENOENT') return message;
  if (!existsSync(cwd)) return `its working directory ${cwd} does not exist`;
  if (!existsSync(exec)) return 'it does not exist';
  return 'what is to run it does not exist: the interpreter in its first line or, of a compiled program, the loader';
}
