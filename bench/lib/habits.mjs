import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { build, stop } from 'esbuild';

const LONGEST_PAUSE_MS = 30;

/** The clients of the end-to-end tests. */
const fromTests = async () => {
  const root = join(import.meta.dirname, '..', '..');
  const { outputFiles } = await build({
    entryPoints: [join(root, 'test', 'e2e', 'kept-connection.ts')],
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'node',
  });
  await stop();
  return import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].text).toString('base64')}`);
};

/** Each habit of these clients on connections of its own, `copies` times beside each other, until stopped. */
export const watchHabits = async (port, copies) => {
  const { HABITS, KeptConnection } = await fromTests();
  const failures = [];
  const stopping = new AbortController();
  let requests = 0;
  let moved = 0;
  const pause = () => sleep(Math.random() * LONGEST_PAUSE_MS);

  const loop = async ([name, habit]) => {
    let kept = null;
    let pid = '';
    for (let index = 0; !stopping.signal.aborted; index += 1) {
      const connection = kept ?? new KeptConnection({ port });
      const before = kept ? pid : '';
      kept = connection;
      try {
        pid = await connection.pid();
        if (before !== '' && before !== pid) moved += 1;
        await pause();
        if (!connection.isOver) await habit(connection, index, pause);
        await pause();
        if (connection.failure) throw connection.failure;
        requests += 2;
      } catch (error) {
        failures.push(`${name}: ${error.message}`);
        connection.close();
      }
      if (connection.isOver) kept = null;
    }
    kept?.close();
  };
  const loops = Object.entries(HABITS).flatMap((entry) => Array.from({ length: copies }, () => loop(entry)));
  return {
    stop: async () => {
      stopping.abort();
      await Promise.all(loops);
      return { requests, moved, failures };
    },
  };
};
