import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { helloApp, helloClusterApp } from './apps.mjs';
import { closeLater, throwIfInterrupted } from './cleanup.mjs';
import { runCommand } from './command.mjs';
import { baseEnvironment } from './environment.mjs';
import { freePort } from './free-port.mjs';
import { createHub } from './hub.mjs';
import { killHard, untilGone } from './processes.mjs';

const CONCURRENCY = 2;

/** The same work without a manager, behind the same methods. */
export const bareSide = {
  name: 'bare',
  open: async () => {
    throwIfInterrupted();
    const folder = mkdtempSync(join(tmpdir(), 'upkeep-bench-bare-'));
    const hub = await createHub(join(folder, 'hub.sock'));
    const env = { ...baseEnvironment(), BENCH_HUB: hub.path };
    const started = new Set();

    const launch = (script, extraEnv) => {
      throwIfInterrupted();
      // In a session of its own, like what a daemon starts: Linux shares out the CPU by session first.
      const options = { env: { ...env, ...extraEnv }, stdio: 'ignore', detached: true };
      const child = spawn(process.execPath, [script], options);
      child.once('exit', () => started.delete(child.pid));
      started.add(child.pid);
    };

    const startMany = async (count, extraEnv) => {
      const startedAt = performance.now();
      const apps = [];
      let at;
      for (let launched = 0; launched < count; ) {
        const batch = Math.min(CONCURRENCY, count - launched);
        const ready = hub.expect(batch);
        for (let left = batch; left > 0; left -= 1) launch(helloApp, extraEnv);
        const answered = await ready;
        apps.push(...answered.apps);
        at = answered.at;
        launched += batch;
      }
      return { readyMs: at - startedAt, apps };
    };

    const clear = async () => {
      const pids = [...started];
      killHard(pids);
      await untilGone(pids);
    };

    return {
      name: 'bare',
      hub,
      // The least any command written for Node can take.
      list: () => runCommand([process.execPath, '-e', '0'], { env }),
      startOne: (extraEnv) => startMany(1, extraEnv),
      startMany,
      startCluster: async (workers, { policy = 'rr', extraEnv } = {}) => {
        const port = await freePort();
        const ready = hub.expect(workers);
        const cluster = { BENCH_PORT: String(port), BENCH_WORKERS: String(workers), NODE_CLUSTER_SCHED_POLICY: policy };
        launch(helloClusterApp, { ...cluster, ...extraEnv });
        await ready;
        return port;
      },
      clear,
      stopDaemon: async () => {},
      managerPids: () => [],
      close: closeLater(async () => {
        await clear();
        hub.close();
        rmSync(folder, { recursive: true, force: true });
      }),
    };
  },
};
