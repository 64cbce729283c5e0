import { Journal, loadState } from './journal.ts';
import { Registry } from './registry.ts';

/** Reads the wanted state, and keeps it. Trouble with the file is logged, and what can be read of it is used. */
export async function openState(
  path: string,
  log: (line: string) => void,
): Promise<{ registry: Registry; journal: Journal }> {
  const { apps, problem } = await loadState(path);
  if (problem) log(problem);
  const registry = new Registry(apps);
  return { registry, journal: new Journal(path, () => registry.apps, problem === null) };
}
