import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { launcherText } from '../../../src/cli/boot/launcher.ts';
import { ME } from '../../fakes/boot.ts';
import { tempFolder } from '../../fakes/temp-folder.ts';

/** Says who ran what, as the real ones would be run. */
const ECHO = 'console.log(JSON.stringify([process.argv0, ...process.argv.slice(1), process.env.UPKEEP_HOME]))';

/** A user's home in a folder with a quote in its name, with Node.js and upkeep in `first`. */
class Box {
  readonly folder: string;

  constructor(t: TestContext) {
    this.folder = join(tempFolder(t), "it's a home");
    this.node('first');
    this.upkeep('first');
    this.file('shell', '#!/bin/sh\nexit 1\n');
    // What waits before the next try must not hold up the test.
    this.file('bin/sleep', '#!/bin/sh\n');
  }

  path(...parts: string[]): string {
    return join(this.folder, ...parts);
  }

  file(name: string, text: string): string {
    const path = this.path(name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    chmodSync(path, 0o755);
    return path;
  }

  link(target: string, name: string): string {
    mkdirSync(dirname(this.path(name)), { recursive: true });
    symlinkSync(target, this.path(name));
    return this.path(name);
  }

  node(prefix: string): string {
    return this.link(process.execPath, `${prefix}/bin/node`);
  }

  /** As `npm install -g` leaves it. */
  upkeep(prefix: string): string {
    const dist = `${prefix}/lib/upkeep/dist`;
    for (const name of ['upkeep.cjs', 'daemon.cjs']) this.file(`${dist}/${name}`, ECHO);
    this.link('../lib/upkeep/dist/upkeep.cjs', `${prefix}/bin/upkeep`);
    return this.path(dist);
  }

  launch(...args: string[]) {
    const text = launcherText({
      ...ME,
      userHome: this.folder,
      shell: this.path('shell'),
      home: this.path('.upkeep'),
      nodes: [this.path('first/bin/node'), this.path('second/bin/node')],
      program: this.path('first/lib/upkeep/dist/upkeep.cjs'),
    });
    const launcher = this.file('launcher.sh', text);
    const env = { PATH: `${this.path('bin')}:/usr/bin:/bin` };
    const { status, stdout, stderr } = spawnSync('/bin/sh', [launcher, ...args], { env, encoding: 'utf8' });
    return { status, stderr, ran: stdout === '' ? null : (JSON.parse(stdout) as string[]) };
  }
}

describe('the launcher', () => {
  test('runs the daemon, and any other command, with what is recorded', (t) => {
    const box = new Box(t);
    const node = box.path('first/bin/node');
    const dist = box.path('first/lib/upkeep/dist');
    const home = box.path('.upkeep');
    assert.deepEqual(box.launch('daemon').ran, [
      node,
      join(dist, 'daemon.cjs'),
      home,
      'kept',
      box.path('launcher.sh'),
      home,
    ]);
    assert.deepEqual(box.launch('ping', '--wait', '6 0').ran, [
      node,
      join(dist, 'upkeep.cjs'),
      'ping',
      '--wait',
      '6 0',
      home,
    ]);
  });

  test('takes the next Node.js that is recorded, where one is gone or too old', (t) => {
    const box = new Box(t);
    const second = box.node('second');
    rmSync(box.path('first/bin/node'));
    assert.equal(box.launch('ping').ran?.[0], second);
    box.file('first/bin/node', '#!/bin/sh\n[ "$1" = -e ] && exit 1\n');
    assert.equal(box.launch('ping').ran?.[0], second);
  });

  for (const kind of ['-lc', '-lic'])
    test(`asks the user's shell, ${kind}, for both`, (t) => {
      const box = new Box(t);
      const node = box.node('new');
      const dist = box.upkeep('new');
      rmSync(box.path('first'), { recursive: true });
      const shell = `#!/bin/sh\necho /welcome\nfor last in $2; do :; done\n[ "$1" = ${kind} ] && echo "${box.path('new/bin')}/$last"`;
      box.file('shell', shell);
      assert.deepEqual(box.launch('ping').ran?.slice(0, 2), [node, join(dist, 'upkeep.cjs')]);
    });

  test('looks where version managers install, for the last version that fits, and for upkeep beside it', (t) => {
    const box = new Box(t);
    rmSync(box.path('first'), { recursive: true });
    box.node('.nvm/versions/node/v20.19.0');
    const node = box.node('.nvm/versions/node/v22.1.0');
    const dist = box.upkeep('.nvm/versions/node/v22.1.0');
    box.file('.nvm/versions/node/v9.9.9/bin/node', '#!/bin/sh\nexit 1\n');
    box.node('.volta/tools/image/node/24.0.0');
    assert.deepEqual(box.launch('ping').ran?.slice(0, 2), [node, join(dist, 'upkeep.cjs')]);
  });

  const installed = ['/usr/local/bin/upkeep', '/usr/bin/upkeep', '/opt/homebrew/bin/upkeep'].some(existsSync);
  test('says what is missing', { skip: installed && 'upkeep is installed here' }, (t) => {
    const box = new Box(t);
    rmSync(box.path('first/lib'), { recursive: true });
    const { status, stderr } = box.launch('daemon');
    assert.deepEqual([status, stderr.includes('upkeep itself is not found; install it')], [1, true], stderr);
  });
});
