import { spawnSync } from 'node:child_process';
import { asUser, fixture } from './harness.ts';

/** The user that the system has for what owns nothing. */
export const NOBODY = 65_534;

/** Why nothing can be run as another user here; false where it can. To be passed as `skip`. */
export function noOtherUser(): string | false {
  if (process.getuid?.() !== 0) return 'only root can run something as another user';
  const [program = '', ...args] = asUser(NOBODY);
  const { status, error } = spawnSync(program, [...args, 'cat', fixture('idles.js')], { stdio: 'ignore' });
  if (error) return 'there is no setpriv';
  return status === 0 ? false : 'this folder may be read by root only';
}
