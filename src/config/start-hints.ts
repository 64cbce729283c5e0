import { readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { AppSpec } from '../domain/app-spec.ts';

/** What is worth knowing of an app that is about to start with several instances. */
export function startHints(spec: AppSpec): readonly string[] {
  const { name, mode, instances, program, incrementVar, balance } = spec;
  if (instances < 2) return [];
  if (mode === 'fork' && program.runtime === 'other' && incrementVar === null) {
    return [
      `${name}: ${basename(program.exec)} is not Node.js, so these are ${instances} copies, which share no port; ` +
        '--increment-var PORT gives each a PORT of its own',
    ];
  }
  if (mode === 'cluster' && balance.mode === 'auto' && dependsOn(program, 'socket.io')) {
    return [
      `${name}: socket.io asks several times before it has a WebSocket, and each time another worker may answer; ` +
        '--balance sticky keeps a client with one',
    ];
  }
  return [];
}

/** Of the package that the script is part of. */
function dependsOn({ release, script }: AppSpec['program'], dependency: string): boolean {
  for (let folder = dirname(release?.script ?? script); ; folder = dirname(folder)) {
    try {
      const { dependencies = {} } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
        dependencies?: Readonly<Record<string, string>>;
      };
      return Object.hasOwn(dependencies, dependency);
    } catch {
      // None here, or none that can be read.
    }
    if (folder === dirname(folder)) return false;
  }
}
