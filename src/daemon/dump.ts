import { rm } from 'node:fs/promises';
import { UpkeepError } from '../protocol/errors.ts';
import type { AppRecord } from '../protocol/messages.ts';
import { Journal } from './journal.ts';
import { type LoadedState, loadState, previousPath } from './state-file.ts';

/** What `save` keeps until the next one: a file of the same kind as the wanted state, which changes by command only. */
export class Dump {
  readonly path: string;
  #last: Promise<void> = Promise.resolve();

  constructor(path: string) {
    this.path = path;
  }

  /** Read from disk each time: it may be a copy that was put there by hand. */
  load(): Promise<LoadedState> {
    return loadState(this.path);
  }

  /** Keeps nothing, not as the generation before either. */
  async clear(): Promise<void> {
    await this.replace([], true);
    await rm(previousPath(this.path), { force: true });
  }

  /** @throws UpkeepError LIST_EMPTY where nothing would replace something, unless forced. */
  replace(apps: readonly AppRecord[], force: boolean): Promise<void> {
    const turn = this.#last.then(async () => {
      const before = await this.load();
      if (apps.length === 0 && before.apps.length > 0 && !force) {
        throw new UpkeepError('LIST_EMPTY', `the list is empty; the saved one, of ${before.apps.length}, is kept`);
      }
      await new Journal(this.path, () => apps, before).save();
    });
    this.#last = turn.catch(() => {});
    return turn;
  }
}
