import { existsSync, mkdirSync, realpathSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCommand } from './command.mjs';

const PACKAGE = 'pm2@7';
const INSTALL_LIMIT_MS = 300_000;

/** The script of pm2's command: named by PM2_BIN, or installed once into a cache folder. */
export const findPm2 = async () => {
  if (process.env.PM2_BIN) return realpathSync(process.env.PM2_BIN);
  const uid = process.getuid?.() ?? 0;
  const folder = join(tmpdir(), `upkeep-bench-pm2-cache-${uid}`);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  // The name can be guessed: run nothing that another user may have put there.
  if (statSync(folder).uid !== uid) throw new Error(`${folder} belongs to another user`);
  const bin = join(folder, 'node_modules', '.bin', 'pm2');
  if (!existsSync(bin)) {
    console.error(`installing ${PACKAGE} into ${folder}`);
    const argv = ['npm', 'install', '--prefix', folder, '--no-audit', '--no-fund', PACKAGE];
    await runCommand(argv, { env: process.env, limitMs: INSTALL_LIMIT_MS });
  }
  return realpathSync(bin);
};
