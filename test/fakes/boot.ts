import type { Machine } from '../../src/cli/boot/machine.ts';
import type { BootTarget } from '../../src/cli/boot/target.ts';
import type { Context, Output } from '../../src/cli/command.ts';

export const ME: BootTarget = {
  service: 'upkeep-me',
  user: 'me',
  uid: 1000,
  userHome: '/home/me',
  shell: '/bin/bash',
  home: '/home/me/.upkeep',
  nodes: ['/usr/bin/node'],
  program: '/usr/lib/node_modules/upkeep/dist/upkeep.cjs',
  waitIp: false,
};

/** A system with users `root` and `me`, the files that a test puts there, and commands that succeed unless they are told to fail. */
export class FakeBootMachine implements Machine {
  readonly platform: NodeJS.Platform;
  readonly uid: number;
  readonly files = new Map<string, string>();
  readonly links = new Map<string, string>();
  readonly fails = new Map<string, string>();
  /** All that was done, in order. */
  readonly done: string[] = [];

  constructor(uid: number, paths: readonly string[], platform: NodeJS.Platform = 'linux') {
    this.uid = uid;
    this.platform = platform;
    for (const path of paths) this.links.set(path, path);
  }

  readonly account: Machine['account'] = (user) => {
    const name = user ?? (this.uid === 0 ? 'root' : 'me');
    if (name === 'root') return { user: 'root', uid: 0, userHome: '/root', shell: '/bin/sh' };
    return name === 'me' ? { user: 'me', uid: 1000, userHome: '/home/me', shell: '/bin/bash' } : null;
  };
  readonly read: Machine['read'] = (path) => this.files.get(path) ?? null;
  readonly realpath: Machine['realpath'] = (path) => this.links.get(path) ?? null;
  readonly write: Machine['write'] = (path, text) => {
    this.done.push(`write ${path}`);
    this.files.set(path, text);
  };
  readonly remove: Machine['remove'] = (path) => {
    this.done.push(`remove ${path}`);
    this.files.delete(path);
  };
  readonly run: Machine['run'] = (command) => {
    const line = command.join(' ');
    this.done.push(line);
    return this.fails.get(line) ?? null;
  };
}

/** A context whose output is kept, for commands that need no daemon. */
export function bootContext(env: Readonly<Record<string, string>> = {}) {
  const data: string[] = [];
  const notes: string[] = [];
  const problems: string[] = [];
  const out: Partial<Output> = {
    data: (text) => data.push(text),
    bytes: (bytes) => data.push(bytes.toString()),
    note: (text) => notes.push(text),
    problem: (text) => problems.push(text),
  };
  const context: Partial<Context> = { env, execPath: '/usr/bin/node', program: ME.program, out: out as Output };
  return { context: context as Context, data, notes, problems };
}
