import { accessSync, constants, existsSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Makes `upkeep` mean `program` where that takes nothing from anybody: by a link in one of `folders`, which are for users'
 * commands, where it is on PATH, and comes before any other `upkeep`.
 * @returns how the user calls it from here on, and what to tell.
 */
export function putOnPath(program, path, folders) {
  const first = path.find((folder) => existsSync(join(folder, 'upkeep')));
  if (first !== undefined && realpathSync(join(first, 'upkeep')) === realpathSync(program))
    return { name: 'upkeep', notes: [] };
  const free = first === undefined ? path : path.slice(0, path.indexOf(first));
  const folder = folders.find((each) => free.includes(each) && isWritable(each));
  if (folder !== undefined) {
    const link = join(folder, 'upkeep');
    // A link that leads nowhere is no `upkeep`, but in the way.
    rmSync(link, { force: true });
    symlinkSync(program, link);
    return { name: 'upkeep', notes: [`upkeep is now on PATH: ${link} leads to ${program}; rm ${link} takes it away`] };
  }
  const name = `node ${/^[\w./-]+$/.test(program) ? program : `'${program}'`}`;
  if (first === undefined)
    return { name, notes: [`upkeep is not on PATH: none of ${folders.join(', ')} is there to write to`] };
  const other = join(first, 'upkeep');
  return {
    name,
    notes: [`${other} is another upkeep, and first on PATH: remove it, or call this one by its path, as below`],
  };
}

function isWritable(folder) {
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
