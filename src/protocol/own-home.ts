import { chmodSync, readdirSync, type Stats, statSync } from 'node:fs';
import { basename } from 'node:path';
import { UpkeepError } from './errors.ts';
import type { Home } from './home.ts';

/** What other users may do. */
const OTHERS = 0o077;
const STICKY = 0o1000;

/**
 * Makes sure that a home which is there belongs to this user, and that nobody else gets in.
 * @returns what was changed to that end, or null.
 * @throws UpkeepError HOME_UNUSABLE for the home of another user, and for a folder that is open to others and holds
 * other things: to close /tmp, say, would do more harm.
 */
export function closeHome(home: Home): string | null {
  const { root } = home;
  const stat = look(root);
  if (!stat?.isDirectory()) return null;
  const own = process.geteuid?.();
  if (own !== undefined && stat.uid !== own) {
    throw new UpkeepError('HOME_UNUSABLE', `${root} belongs to user ${stat.uid}, and this command to user ${own}`, {
      hint: `as root, \`sudo -u '#${stat.uid}' upkeep ...\`; or name a home of your own in UPKEEP_HOME`,
    });
  }
  if ((stat.mode & OTHERS) === 0) return null;
  const mode = (stat.mode & 0o7777).toString(8);
  if (stat.mode & STICKY || !isHomeOnly(home)) {
    throw new UpkeepError('HOME_UNUSABLE', `${root} is open to other users (mode ${mode}), and holds other things`, {
      hint: 'name a folder of its own in UPKEEP_HOME',
    });
  }
  for (const folder of [root, home.run, home.logs, home.cache]) {
    if (look(folder)?.uid === stat.uid) chmodSync(folder, 0o700);
  }
  return `${root} was open to other users (mode ${mode}), and is not any more`;
}

/** Empty, but for what a command makes that needs no daemon; or made by upkeep. */
function isHomeOnly(home: Home): boolean {
  const entries = readdirSync(home.root).filter((entry) => entry !== basename(home.cache));
  return entries.length === 0 || [home.run, home.logs].every((folder) => look(folder)?.isDirectory());
}

/** @returns null for what is not there, or cannot be reached: whoever goes on is told. */
function look(path: string): Stats | null {
  try {
    return statSync(path);
  } catch {
    return null;
  }
}
