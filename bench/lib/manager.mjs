import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { helloApp, idleApp } from './apps.mjs';
import { closeLater, throwIfInterrupted } from './cleanup.mjs';
import { runCommand } from './command.mjs';
import { baseEnvironment } from './environment.mjs';
import { freePort } from './free-port.mjs';
import { createHub } from './hub.mjs';
import { commandLine, killAll, processesOf, untilGone } from './processes.mjs';

const MANY_LIMIT_MS = 180_000;
const KILL_LIMIT_MS = 30_000;

/** A process manager with pm2's command line, in a home of its own. */
export const managerSide = ({ name, argv, homeVariable }) => ({
  name,
  open: async () => {
    throwIfInterrupted();
    const folder = mkdtempSync(join(tmpdir(), `upkeep-bench-${name}-`));
    const home = join(folder, 'home');
    mkdirSync(home);
    const hub = await createHub(join(folder, 'hub.sock'));
    const env = { ...baseEnvironment(), [homeVariable]: home, BENCH_HUB: hub.path };
    const run = async (args, options) => {
      throwIfInterrupted();
      return runCommand([...argv, ...args], { env, ...options });
    };
    let apps = [];

    const start = async (args, { count = 1, limitMs, extraEnv } = {}) => {
      const ready = hub.expect(count, limitMs);
      const command = await run(['start', ...args], { env: { ...env, ...extraEnv }, limitMs });
      const { at, apps: started } = await ready;
      apps = started;
      return { readyMs: at - command.startedAt, returnedMs: command.ms, apps };
    };

    const ecosystemOf = (count, script) => {
      const file = join(folder, 'eco.config.js');
      const apps = Array.from({ length: count }, (_, index) => ({ name: `app-${index}`, script }));
      writeFileSync(file, `module.exports = ${JSON.stringify({ apps })};\n`);
      return file;
    };

    const close = async () => {
      await runCommand([...argv, 'kill'], { env, limitMs: KILL_LIMIT_MS }).catch(() => {});
      await killAll(() => processesOf(homeVariable, home));
      hub.close();
      rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
    };

    return {
      name,
      hub,
      run,
      allPids: () => processesOf(homeVariable, home),
      /** The processes that read what apps write. */
      logPids: () =>
        processesOf(homeVariable, home).filter((pid) => /^(upkeep supervisor|PM2 v)/.test(commandLine(pid))),
      list: () => run(['list']),
      startOne: () => start([helloApp, '--name', 'hello']),
      startMany: (count) => start([ecosystemOf(count, helloApp)], { count, limitMs: MANY_LIMIT_MS }),
      /** Apps that listen nowhere. Resolves with how long the command took. */
      startWorkers: async (count) => {
        const target = count === 1 ? idleApp : ecosystemOf(count, idleApp);
        return (await run(['start', target], { limitMs: MANY_LIMIT_MS })).ms;
      },
      startCluster: async (workers, { extraEnv, script = helloApp } = {}) => {
        const port = await freePort();
        await start([script, '--name', 'hello', '-i', String(workers)], {
          count: workers,
          extraEnv: { BENCH_PORT: String(port), ...extraEnv },
        });
        return port;
      },
      reload: () => run(['reload', 'hello']),
      scale: (workers) => run(['scale', 'hello', String(workers)]),
      restartOne: async () => {
        const { output } = await run(['id', 'hello']);
        return run(['restart', /\d+/.exec(output)[0]]);
      },
      clear: async () => {
        await run(['delete', 'all'], { limitMs: MANY_LIMIT_MS });
        await untilGone(apps.map(({ pid }) => pid));
        apps = [];
      },
      stopDaemon: async () => {
        const pids = processesOf(homeVariable, home);
        await run(['kill'], { limitMs: KILL_LIMIT_MS });
        await untilGone(pids);
      },
      managerPids: () => {
        const appPids = new Set(apps.map(({ pid }) => pid));
        const pids = processesOf(homeVariable, home).filter((pid) => !appPids.has(pid));
        if (pids.length === 0) throw new Error(`found no process of ${name} itself`);
        return pids;
      },
      close: closeLater(close),
    };
  },
});
