import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import type { AppOptions } from '../../src/config/options.ts';
import { type ClusterWish, defaultName, resolveProgram } from '../../src/config/program.ts';
import { tempFolder } from '../fakes/temp-folder.ts';

const OWN_NODE = '/opt/own/node';

/** A folder to run in, with a `bin` that is all of PATH. */
class Machine {
  readonly cwd: string;
  readonly bin: string;

  constructor(t: TestContext, programs: readonly string[] = ['node', 'bash', 'sh', 'python3', 'ruby', 'php', 'perl']) {
    this.cwd = tempFolder(t);
    this.bin = join(this.cwd, 'bin');
    for (const program of programs) this.file(`bin/${program}`, 'program', 0o755);
  }

  file(path: string, content = '', mode = 0o644): string {
    const full = join(this.cwd, path);
    mkdirSync(dirname(full), { recursive: true });
    writeFileSync(full, content);
    chmodSync(full, mode);
    return full;
  }

  resolve(options: AppOptions, cluster: ClusterWish = 'no') {
    return resolveProgram(options, {
      cwd: this.cwd,
      env: { PATH: `/nowhere:${this.bin}` },
      execPath: OWN_NODE,
      cluster,
    });
  }
}

describe('the interpreter by extension', () => {
  for (const [file, program, runtime] of [
    ['app.js', 'node', 'node'],
    ['app.mjs', 'node', 'node'],
    ['app.cjs', 'node', 'node'],
    ['app.ts', 'node', 'node'],
    ['app.mts', 'node', 'node'],
    ['run.sh', 'bash', 'other'],
    ['app.py', 'python3', 'other'],
    ['app.rb', 'ruby', 'other'],
    ['app.php', 'php', 'other'],
    ['app.pl', 'perl', 'other'],
  ] as const)
    test(`${file} is run by ${program}`, (t) => {
      const machine = new Machine(t);
      const script = machine.file(file);
      assert.deepEqual(machine.resolve({ script: file, args: ['a'], interpreter_args: ['-x'] }), {
        script,
        exec: join(machine.bin, program),
        runtime,
        interpreterArgs: ['-x'],
        args: ['a'],
        cwd: machine.cwd,
        release: null,
      });
    });

  test('is the second choice where the first is not there', (t) => {
    const machine = new Machine(t, ['sh', 'python']);
    machine.file('run.sh');
    machine.file('app.py');
    assert.equal(machine.resolve({ script: 'run.sh' }).exec, join(machine.bin, 'sh'));
    assert.equal(machine.resolve({ script: 'app.py' }).exec, join(machine.bin, 'python'));
  });

  test('is our own Node.js where PATH has none', (t) => {
    const machine = new Machine(t, []);
    machine.file('app.js');
    assert.equal(machine.resolve({ script: 'app.js' }).exec, OWN_NODE);
  });

  test('that is not there is told', (t) => {
    const machine = new Machine(t, []);
    machine.file('app.rb');
    assert.throws(() => machine.resolve({ script: 'app.rb' }), {
      code: 'INTERPRETER_NOT_FOUND',
      message: 'interpreter not found: ruby is not on PATH',
    });
  });
});

describe('a script without a known extension', () => {
  for (const [what, content, mode, exec, runtime] of [
    ['a shebang of node', '#!/usr/bin/env node\n', 0o755, 'node', 'node'],
    ['a shebang of node with -S', '#!/usr/bin/env -S node --no-warnings\n', 0o755, 'node', 'node'],
    ['a shebang of a node by path', '#! /usr/local/bin/node\n', 0o644, 'node', 'node'],
    ['a shebang of something else', '#!/bin/sh\n', 0o755, 'server', 'other'],
    ['a binary', '\u007fELF', 0o755, 'server', 'other'],
    ['a text that is not executable', 'console.log(1)\n', 0o644, 'node', 'node'],
  ] as const)
    test(`${what} is run by ${exec === 'server' ? 'itself' : exec}`, (t) => {
      const machine = new Machine(t);
      const script = machine.file('server', content, mode);
      const program = machine.resolve({ script: './server' });
      assert.deepEqual(
        [program.exec, program.runtime],
        [exec === 'server' ? script : join(machine.bin, exec), runtime],
      );
    });
});

describe('an interpreter that is named', () => {
  test('goes before the extension', (t) => {
    const machine = new Machine(t);
    machine.file('app.js');
    const { exec, runtime } = machine.resolve({ script: 'app.js', interpreter: 'python3' });
    assert.deepEqual([exec, runtime], [join(machine.bin, 'python3'), 'other']);
  });

  test('may be a path, from the working directory', (t) => {
    const machine = new Machine(t);
    const exec = machine.file('tools/node18', '', 0o755);
    machine.file('app.js');
    const program = machine.resolve({ script: 'app.js', interpreter: 'tools/node18' });
    assert.deepEqual([program.exec, program.runtime], [exec, 'node']);
  });

  test('may be no program at all', (t) => {
    const machine = new Machine(t);
    machine.file('app.js');
    machine.file('plain', '', 0o644);
    for (const interpreter of ['tools/none', './plain', 'deno'])
      assert.throws(() => machine.resolve({ script: 'app.js', interpreter }), { code: 'INTERPRETER_NOT_FOUND' });
  });

  test('may be none: the script is executed itself, if it can be', (t) => {
    const machine = new Machine(t);
    const script = machine.file('app.js', '#!/usr/bin/env node\n', 0o755);
    assert.equal(machine.resolve({ script: 'app.js', interpreter: 'none' }).exec, script);
    chmodSync(script, 0o644);
    assert.throws(() => machine.resolve({ script: 'app.js', interpreter: 'none' }), {
      code: 'SCRIPT_NOT_FOUND',
      message: `${script} is not executable`,
      hint: `chmod +x ${script}, or name an --interpreter`,
    });
  });
});

describe('where the script is', () => {
  test('from the working directory, or anywhere', (t) => {
    const machine = new Machine(t);
    const script = machine.file('sub/app.js');
    assert.equal(machine.resolve({ script: 'sub/app.js' }).script, script);
    assert.equal(machine.resolve({ script }).script, script);
  });

  test('a program on PATH, where there is no such file', (t) => {
    const machine = new Machine(t, ['node', 'caddy']);
    assert.equal(machine.resolve({ script: 'caddy', args: ['run'] }).exec, join(machine.bin, 'caddy'));
    const script = machine.file('caddy', '', 0o755);
    assert.equal(machine.resolve({ script: 'caddy' }).exec, script);
  });

  test('nowhere', (t) => {
    const machine = new Machine(t);
    mkdirSync(join(machine.cwd, 'src'));
    const message = (script: string) => {
      try {
        machine.resolve({ script });
      } catch (error) {
        return `${(error as { code: string }).code} ${(error as Error).message.replaceAll(machine.cwd, '')}`;
      }
      return null;
    };
    assert.equal(message('app.js'), 'SCRIPT_NOT_FOUND script not found: /app.js does not exist');
    assert.equal(message('./x'), 'SCRIPT_NOT_FOUND script not found: /x does not exist');
    assert.equal(
      message('src'),
      'SCRIPT_NOT_FOUND script not found: /src is a folder, not a script, and no program of that name is on PATH',
    );
    assert.equal(
      message('caddy'),
      'SCRIPT_NOT_FOUND script not found: /caddy does not exist, and no program of that name is on PATH',
    );
  });

  test('a script whose name has a space is no command line', (t) => {
    const machine = new Machine(t);
    const script = machine.file('my app.js');
    assert.equal(machine.resolve({ script: 'my app.js' }).script, script);
  });
});

describe('a command line', () => {
  test('is run by the shell', (t) => {
    const machine = new Machine(t);
    const program = machine.resolve({ script: 'sleep 1 && echo done', args: ["it's", 'plain', ''] });
    assert.deepEqual(program, {
      script: `sleep 1 && echo done 'it'\\''s' plain ''`,
      exec: join(machine.bin, 'bash'),
      runtime: 'other',
      interpreterArgs: ['-c'],
      args: [],
      cwd: machine.cwd,
      release: null,
    });
  });

  test('is run by sh where there is no bash, or by the shell that is named', (t) => {
    const machine = new Machine(t, ['sh', 'zsh']);
    assert.equal(machine.resolve({ script: 'sleep 1' }).exec, join(machine.bin, 'sh'));
    assert.equal(machine.resolve({ script: 'sleep 1', interpreter: 'zsh' }).exec, join(machine.bin, 'zsh'));
  });

  test('cannot be a cluster', (t) => {
    const machine = new Machine(t);
    assert.throws(() => machine.resolve({ script: 'node app.js' }, 'yes'), { code: 'NOT_CLUSTERABLE' });
    assert.equal(machine.resolve({ script: 'node app.js' }, 'if-node').runtime, 'other');
  });
});

describe('a cluster', () => {
  test('is of Node.js scripts only, where one was asked for', (t) => {
    const machine = new Machine(t);
    machine.file('app.js');
    machine.file('app.py');
    machine.file('server', '#!/bin/sh\n', 0o755);
    assert.equal(machine.resolve({ script: 'app.js' }, 'yes').runtime, 'node');
    const refused = (script: string) => () => machine.resolve({ script }, 'yes');
    assert.throws(refused('app.py'), {
      code: 'NOT_CLUSTERABLE',
      message: 'cluster mode needs a Node.js script: python3 is not Node.js',
    });
    assert.throws(refused('server'), { message: 'cluster mode needs a Node.js script: server is not one' });
    assert.equal(machine.resolve({ script: 'app.py' }, 'if-node').runtime, 'other');
  });

  test('is not of a program that only starts another', (t) => {
    const machine = new Machine(t, ['node', 'npm', 'yarn']);
    machine.file('node_modules/cross-env/cross-env.js', '', 0o755);
    mkdirSync(join(machine.cwd, 'node_modules/.bin'));
    symlinkSync('../cross-env/cross-env.js', join(machine.cwd, 'node_modules/.bin/cross-env'));
    machine.file('node_modules/.bin/next', '#!/bin/sh\nexec node x.js\n', 0o755);
    for (const script of ['npm', 'yarn', 'node_modules/.bin/cross-env', 'node_modules/.bin/next'])
      for (const wish of ['yes', 'if-node'] as const)
        assert.throws(
          () => machine.resolve({ script }, wish),
          {
            code: 'NOT_CLUSTERABLE',
            message: `cluster mode needs a Node.js script: ${script} only starts another program`,
          },
          `${script} ${wish}`,
        );
  });

  test('nor of one that runs the script in a process of its own', (t) => {
    const machine = new Machine(t, ['node', 'npm', 'tsx']);
    machine.file('app.ts');
    const refused = (options: AppOptions) => () => machine.resolve(options, 'if-node');
    const message = (program: string) => `cluster mode needs a Node.js script: ${program} only starts another program`;
    assert.throws(refused({ script: 'npm start' }), { code: 'NOT_CLUSTERABLE', message: message('npm') });
    assert.throws(refused({ script: 'tsx app.ts' }), { message: message('tsx') });
    assert.throws(refused({ script: 'app.ts', interpreter: 'tsx' }), {
      message: message('tsx'),
      hint: 'leave it out, and load it into the workers with --node-args "--import tsx"; in fork mode, without -i, it works',
    });
    assert.notEqual(machine.resolve({ script: 'app.ts', interpreter: 'tsx' }).exec, '');
  });

  test('such a program runs as it is in fork mode', (t) => {
    const machine = new Machine(t, ['node', 'npm']);
    const { exec, runtime } = machine.resolve({ script: 'npm', args: ['start'] });
    assert.deepEqual([exec, runtime], [join(machine.bin, 'npm'), 'other']);
  });

  test('may be of what npm links to a Node.js script', (t) => {
    const machine = new Machine(t);
    machine.file('node_modules/tool/cli.js', '#!/usr/bin/env node\n', 0o755);
    mkdirSync(join(machine.cwd, 'node_modules/.bin'));
    symlinkSync('../tool/cli.js', join(machine.cwd, 'node_modules/.bin/tool'));
    assert.equal(machine.resolve({ script: 'node_modules/.bin/tool' }, 'yes').runtime, 'node');
  });
});

describe('defaultName', () => {
  for (const [script, name] of [
    ['app.js', 'app'],
    ['/srv/api/server.mjs', 'server'],
    ['./bin/www', 'www'],
    ['npm run start', 'npm'],
    ['.hidden', '.hidden'],
    ['/srv/my app.js', 'my app'],
    ['archive.tar.gz', 'archive.tar'],
  ] as const)
    test(`${script} is named ${name}`, () => assert.equal(defaultName(script), name));
});

test('what a first line names must be there, and a compiled program be executable', (t) => {
  const folder = tempFolder(t);
  const resolved = (text: string, mode: number) => {
    const script = join(folder, 'program');
    writeFileSync(script, text);
    chmodSync(script, mode);
    const context = { cwd: folder, env: { PATH: '/usr/bin:/bin' }, execPath: process.execPath, cluster: 'no' } as const;
    return resolveProgram({ script }, context);
  };
  assert.throws(() => resolved('#!/none/bash\n', 0o755), /first line names "\/none\/bash", which is not there/);
  assert.throws(() => resolved('#!/bin/sh\r\n', 0o755), { hint: 'its lines end with CR LF: convert them to LF' });
  assert.throws(() => resolved('#!/usr/bin/env nonesuch\n', 0o755), /names "nonesuch"/);
  assert.throws(() => resolved('\x7fELF\0\0', 0o644), /program is not executable/);
  for (const line of ['#!/usr/bin/env sh', '#!/usr/bin/env -S sh -e', '#!/bin/sh -e', '#! /bin/sh', ':'])
    assert.equal(resolved(`${line}\n`, 0o755).runtime, 'other');
});
