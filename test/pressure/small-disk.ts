import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, symlinkSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { PressureBox } from './pressure.ts';

export const withMount: { readonly skip: string | false } = {
  skip: process.platform === 'linux' && process.getuid?.() === 0 ? false : 'needs root on Linux, to mount a small disk',
};

/** A disk of its own for the home of a sandbox, where nothing has run yet. */
export interface SmallDisk {
  /** Takes all space that is left. */
  readonly fill: () => void;
  /** Takes all inodes but some. */
  readonly takeInodes: (left: number) => void;
  /** Gives back what was taken. */
  readonly free: () => void;
  /** For what is opened from then on: the kernel lets what is open for writing be written. */
  readonly turnReadOnly: () => void;
  readonly turnWritable: () => void;
}

export function smallDisk(t: TestContext, box: PressureBox): SmallDisk {
  const folder = mkdtempSync(join(tmpdir(), 'uk-disk-'));
  const options = 'size=12m,nr_inodes=400,mode=700';
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'upkeep-test', folder], { stdio: 'pipe' });
  } catch (error) {
    rmSync(folder, { recursive: true });
    t.skip(`no disk can be mounted: ${(error as Error).message}`);
    throw error;
  }
  let mounts = 1;
  // After the sandbox has ended.
  t.after(() => {
    for (; mounts > 0; mounts--) execFileSync('umount', ['--lazy', folder]);
    rmSync(folder, { recursive: true });
  });
  symlinkSync(folder, box.home);
  const taken = join(folder, 'taken');
  const inodes: string[] = [];
  const free = (): void => {
    for (const path of [taken, ...inodes.splice(0)]) rmSync(path, { force: true });
  };
  const turnWritable = (): void => {
    if (mounts > 1) execFileSync('mount', ['-o', 'remount,rw,bind', folder]);
  };
  box.atEnd(() => {
    turnWritable();
    free();
  });
  return {
    fill: () => {
      const fd = openSync(taken, 'a');
      const page = Buffer.alloc(4096, 'x');
      untilFull(() => writeSync(fd, page));
      closeSync(fd);
    },
    takeInodes: (left) => {
      untilFull(() => {
        const path = join(folder, `taken-${inodes.length}`);
        writeFileSync(path, '');
        inodes.push(path);
      });
      for (const path of inodes.splice(-left, left)) rmSync(path);
    },
    free,
    turnReadOnly: () => {
      // Over itself: where files are open for writing, nothing is mounted read-only in its place.
      execFileSync('mount', ['--bind', folder, folder]);
      mounts++;
      execFileSync('mount', ['-o', 'remount,ro,bind', folder]);
    },
    turnWritable,
  };
}

function untilFull(take: () => void): void {
  try {
    for (;;) take();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  }
}
