import { spawnSync } from 'node:child_process';
import { fixture, type SandboxOptions } from './harness.ts';

/** The user that the system has for what owns nothing. */
export const NOBODY = 65_534;

/** To be put before a command line that this user is to run. */
export const AS_NOBODY = ['setpriv', '--reuid', `${NOBODY}`, '--regid', `${NOBODY}`, '--clear-groups', '--'];

/** A sandbox of that user. */
export const OF_NOBODY: SandboxOptions = { through: AS_NOBODY, owner: NOBODY };

/** Why nothing can be run as another user here; false where it can. To be passed as `skip`. */
export function noOtherUser(): string | false {
  if (process.getuid?.() !== 0) return 'only root can run something as another user';
  const [program = '', ...args] = AS_NOBODY;
  const { status, error } = spawnSync(program, [...args, 'cat', fixture('idles.js')], { stdio: 'ignore' });
  if (error) return 'there is no setpriv';
  return status === 0 ? false : 'this folder may be read by root only';
}
