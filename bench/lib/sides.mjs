import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { bareSide } from './bare.mjs';
import { findPm2 } from './find-pm2.mjs';
import { managerSide } from './manager.mjs';

const upkeepBin = join(dirname(dirname(import.meta.dirname)), 'dist', 'upkeep.cjs');

export const sideNames = ['upkeep', 'pm2', 'bare'];

/** The sides asked for that can run here; the others are named in `notes`. */
export const findSides = async (names) => {
  const sides = [];
  const notes = [];
  if (names.includes('upkeep')) {
    if (existsSync(upkeepBin)) {
      const argv = [process.execPath, upkeepBin];
      sides.push(managerSide({ name: 'upkeep', argv, homeVariable: 'UPKEEP_HOME' }));
    } else {
      notes.push('upkeep is left out: it is not built (npm run build)');
    }
  }
  if (names.includes('pm2')) {
    try {
      const argv = [process.execPath, await findPm2()];
      sides.push(managerSide({ name: 'pm2', argv, homeVariable: 'PM2_HOME' }));
    } catch (error) {
      notes.push(`pm2 is left out: ${error.message} (PM2_BIN can name an installed one)`);
    }
  }
  if (names.includes('bare')) sides.push(bareSide);
  return { sides, notes };
};

/** Opens all sides, hands them to `use`, and closes them whatever happens. */
export const withOpen = async (sides, use) => {
  const opened = [];
  try {
    for (const side of sides) opened.push(await side.open());
    return await use(opened);
  } finally {
    await Promise.all(opened.map((side) => side.close()));
  }
};
