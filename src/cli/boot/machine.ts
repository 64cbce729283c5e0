import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, realpathSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { dirname } from 'node:path';
import { LAUNCHERS } from './target.ts';

export interface Account {
  readonly user: string;
  readonly uid: number;
  readonly userHome: string;
  readonly shell: string;
}

/** All that startup and unstartup do to the system, and ask it. */
export interface Machine {
  readonly platform: NodeJS.Platform;
  readonly uid: number;
  /** @param user null for the one who calls. @returns null where there is no such user. */
  readonly account: (user: string | null) => Account | null;
  /** @returns null where there is no such file. */
  readonly read: (path: string) => string | null;
  readonly realpath: (path: string) => string | null;
  /** Makes the folders that are missing. */
  readonly write: (path: string, text: string, mode: number) => void;
  readonly remove: (path: string) => void;
  /** @returns null when it succeeded, else why not. */
  readonly run: (command: readonly string[]) => string | null;
}

/** Root may have the PATH of a user here, who must not choose what is run. */
const SYSTEM_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
/** systemd waits for the apps; see READY_SECONDS in systemd.ts. */
const COMMAND_MS = 120_000;

const uid = process.getuid?.() ?? -1;

export const thisMachine: Machine = {
  platform: process.platform,
  uid,
  account: (user) => {
    if (user === null) {
      const { username, homedir, shell } = userInfo();
      return { user: username, uid, userHome: homedir, shell: shell ?? '/bin/sh' };
    }
    const command = process.platform === 'darwin' ? ['id', '-P', '--', user] : ['getent', 'passwd', user];
    const line = output(command) ?? passwdLine(user);
    const [name = '', , id = '', ...more] = line?.trim().split(':') ?? [];
    // On macOS there are more fields before these two.
    const [userHome = '', shell = ''] = more.slice(-2);
    return name === '' ? null : { user: name, uid: Number(id), userHome, shell: shell || '/bin/sh' };
  },
  read: (path) => orNull(() => readFileSync(path, 'utf8')),
  realpath: (path) => orNull(() => realpathSync(path)),
  write: (path, text, mode) => {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    chmodSync(path, mode);
  },
  remove: (path) => {
    rmSync(path, { force: true });
    // The last launcher takes their folder along.
    if (dirname(path) === LAUNCHERS) orNull(() => rmdirSync(LAUNCHERS));
  },
  run: (command) => {
    const { status, error, stderr } = spawn(command);
    if (status === 0) return null;
    return stderr?.trim() || error?.message || `exit code ${status}`;
  },
};

function spawn([program = '', ...args]: readonly string[]): ReturnType<typeof spawnSync> & { readonly stderr: string } {
  // `systemctl --user` needs it, and `su` does not set it.
  const runtime = process.env['XDG_RUNTIME_DIR'] ?? `/run/user/${uid}`;
  const env = { PATH: SYSTEM_PATH, LC_ALL: 'C', XDG_RUNTIME_DIR: runtime };
  return spawnSync(program, args, { env, encoding: 'utf8', timeout: COMMAND_MS, stdio: ['ignore', 'pipe', 'pipe'] });
}

function output(command: readonly string[]): string | null {
  const { status, stdout } = spawn(command);
  return status === 0 ? String(stdout) : null;
}

/** Where there is no `getent`. */
function passwdLine(user: string): string | undefined {
  const lines = thisMachine.read('/etc/passwd')?.split('\n') ?? [];
  return lines.find((line) => line.startsWith(`${user}:`));
}

function orNull<T>(get: () => T): T | null {
  try {
    return get();
  } catch {
    return null;
  }
}
