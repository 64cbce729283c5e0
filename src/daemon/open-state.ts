import { Journal } from './journal.ts';
import { Registry } from './registry.ts';
import { loadState } from './state-file.ts';

export interface OpenState {
  readonly registry: Registry;
  readonly journal: Journal;
  /** False where the registry may lack what is wanted: what runs is the better witness then. */
  readonly complete: boolean;
}

/** Reads the wanted state, and keeps it. Trouble with the file is logged, and what can be read of it is used. */
export async function openState(path: string, log: (line: string) => void): Promise<OpenState> {
  const loaded = await loadState(path);
  if (loaded.problem) log(loaded.problem);
  const registry = new Registry(loaded.apps);
  const journal = new Journal(path, () => registry.apps, loaded);
  if (loaded.complete) journal.isRead();
  return { registry, journal, complete: loaded.complete };
}
