import { delimiter, dirname } from 'node:path';

const KEPT = ['HOME', 'USER', 'LANG', 'TMPDIR'];

/** The same small environment for every side, so that the caller's shell does not change the figures. */
export const baseEnvironment = () => {
  const env = { PATH: [dirname(process.execPath), process.env.PATH].join(delimiter) };
  for (const key of KEPT) {
    if (process.env[key] !== undefined) env[key] = process.env[key];
  }
  return env;
};
