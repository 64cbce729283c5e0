import { basename } from 'node:path';
import type { Disk } from '../../src/daemon/journal.ts';

interface Inode {
  text: string;
  synced: boolean;
}

/** One entry of the folder, as it is changed. */
type Change = { readonly name: string; readonly inode: Inode | null };

/** What may be left of a folder after the power was lost: the files by name. */
export type Remains = Readonly<Record<string, string>>;

/**
 * One folder on a disk that does only what POSIX promises: what was not fsynced may be lost, whole or in part, and so may
 * the renames of a folder that was not fsynced, in any combination.
 */
export class FakeDisk implements Disk {
  readonly #entries = new Map<string, Inode>();
  readonly #durable = new Map<string, Inode>();
  /** Of the folder, since it was fsynced last; the changes of one call belong together. */
  #pending: (readonly Change[])[] = [];
  #calls = 0;
  /** Called before each system call, with its name and number; what it throws is what the call fails with. */
  onCall: (name: string, number: number) => void | Promise<void> = () => {};

  readonly open = async (path: string, flags: string) => {
    await this.#call(`open ${basename(path)}`);
    if (flags === 'r') {
      const sync = async () => {
        await this.#call('fsync of the folder');
        for (const changes of this.#pending) apply(this.#durable, changes);
        this.#pending = [];
      };
      return { writeFile: async () => {}, sync, close: async () => {} };
    }
    const name = basename(path);
    if (this.#entries.has(name)) throw Object.assign(new Error(`EEXIST: ${name}`), { code: 'EEXIST' });
    const inode: Inode = { text: '', synced: false };
    this.#change([{ name, inode }]);
    return {
      writeFile: async (text: string) => {
        await this.#call(`write ${name}`);
        inode.text = text;
      },
      sync: async () => {
        await this.#call(`fsync ${name}`);
        inode.synced = true;
      },
      close: async () => {},
    };
  };

  readonly rename = async (from: string, to: string): Promise<void> => {
    await this.#call(`rename ${basename(from)} ${basename(to)}`);
    const inode = this.#entries.get(basename(from));
    if (!inode) throw Object.assign(new Error(`ENOENT: ${from}`), { code: 'ENOENT' });
    this.#change([
      { name: basename(from), inode: null },
      { name: basename(to), inode },
    ]);
  };

  readonly rm = async (path: string): Promise<void> => {
    await this.#call(`unlink ${basename(path)}`);
    if (this.#entries.has(basename(path))) this.#change([{ name: basename(path), inode: null }]);
  };

  /** What is there as long as the power is. */
  get now(): Remains {
    return texts(this.#entries, (inode) => inode.text);
  }

  /** All that may be there should the power be lost now. */
  remains(): Remains[] {
    const found = new Map<string, Remains>();
    for (let chosen = 0; chosen < 2 ** this.#pending.length; chosen++) {
      const entries = new Map(this.#durable);
      for (const [index, changes] of this.#pending.entries()) if (chosen & (1 << index)) apply(entries, changes);
      for (const share of [0, 0.5, 1]) {
        const left = texts(entries, ({ text, synced }) => (synced ? text : text.slice(0, text.length * share)));
        found.set(JSON.stringify(left), left);
      }
    }
    return [...found.values()];
  }

  async #call(name: string): Promise<void> {
    await this.onCall(name, this.#calls++);
  }

  #change(changes: readonly Change[]): void {
    apply(this.#entries, changes);
    this.#pending.push(changes);
  }
}

function apply(entries: Map<string, Inode>, changes: readonly Change[]): void {
  for (const { name, inode } of changes) {
    if (inode) entries.set(name, inode);
    else entries.delete(name);
  }
}

function texts(entries: ReadonlyMap<string, Inode>, text: (inode: Inode) => string): Remains {
  return Object.fromEntries([...entries].map(([name, inode]) => [name, text(inode)]));
}
