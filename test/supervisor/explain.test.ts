import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { AppSpec } from '../../src/domain/app-spec.ts';
import type { AppError } from '../../src/protocol/ipc.ts';
import type { Outcome } from '../../src/protocol/messages.ts';
import { appSpec } from '../fakes/app-spec.ts';
import type { FakeProcess } from '../fakes/ports.ts';
import { Supervised } from '../fakes/supervised.ts';

const LOGS = '`upkeep logs api` shows all it wrote';
const AGAIN = 'it is tried again, unless you `upkeep delete api`';
const listenError: AppError = {
  message: 'listen EADDRINUSE: address already in use :::3000',
  code: 'EADDRINUSE',
  syscall: 'listen',
  address: '::',
  port: 3000,
};

interface Failure {
  readonly spec?: AppSpec;
  readonly stderr?: readonly string[];
  readonly uncaught?: Partial<AppError>;
  readonly end?: (process: FakeProcess) => void;
}

/** What `start` says of an app that fails once and for all. */
async function explained({
  spec = appSpec({ restart: { maxRestarts: 1 } }),
  stderr = [],
  uncaught,
  end,
}: Failure): Promise<Outcome> {
  const it = new Supervised(spec);
  it.ports.portOwners.set(3000, 'nginx (pid 812)');
  it.launcher.script = {
    obeys: true,
    run: (process) => {
      it.ports.logs.captures[0]?.write(...stderr);
      if (uncaught) process.emit({ kind: 'uncaught', error: { ...listenError, ...uncaught } });
      if (end) end(process);
      else process.exit(1);
    },
  };
  const start = await it.begin('start');
  await it.clock.advance(5000);
  const [outcome] = await start.outcomes;
  assert.ok(outcome && !outcome.ok);
  return outcome;
}

const GIVEN_UP = /\(the run ended before 1000 ms of uptime, with code 1\)$/;

describe('a port that is in use', () => {
  for (const [program, hint] of [
    [
      {},
      'instances in fork mode share no port: delete it and start it with -i 2, as a cluster; or --increment-var PORT',
    ],
    [{ runtime: 'other' }, 'instances in fork mode share no port: --increment-var PORT'],
  ] as const)
    test(`by another instance of the app is never told to be stopped: ${JSON.stringify(program)}`, async () => {
      const it = new Supervised(appSpec({ instances: 2, program, restart: { maxRestarts: 1 } }));
      await it.run('start', [0]);
      it.launcher.script = {
        obeys: true,
        run: (process) => {
          if (!('runtime' in program)) process.emit({ kind: 'uncaught', error: listenError });
          else it.ports.logs.captures.at(-1)?.write('OSError: [Errno 98] Address already in use');
          process.exit(1);
        },
      };
      await it.clock.advance(1000);
      const [outcome] = await it.run('start', [1]);
      assert.match(
        outcome?.reason ?? '',
        'runtime' in program ? /^its port is in use/ : /^port 3000 is in use by instance 0 of this app/,
      );
      assert.ok(outcome?.hint?.startsWith(hint), outcome?.hint ?? '');
      assert.doesNotMatch(outcome?.hint ?? '', /stop/);
    });

  test('by one that was started at the same time, neither', async () => {
    const it = new Supervised(appSpec({ instances: 2, program: { runtime: 'other' }, restart: { maxRestarts: 1 } }));
    let launched = 0;
    it.launcher.script = {
      obeys: true,
      run: (process) => {
        if (launched++ === 0) return;
        it.ports.logs.captures.at(-1)?.write('OSError: [Errno 98] Address already in use');
        process.exit(1);
      },
    };
    const start = await it.begin('start', [0, 1]);
    await it.clock.advance(5000);
    const failed = (await start.outcomes).find(({ ok }) => !ok);
    assert.match(failed?.hint ?? '', /^instances in fork mode share no port: --increment-var PORT/);
  });

  test('is told with its owner', async () => {
    const { reason, hint } = await explained({ uncaught: {} });
    assert.match(reason ?? '', /^port 3000 is in use by nginx \(pid 812\) /);
    assert.match(reason ?? '', GIVEN_UP);
    assert.equal(hint, 'stop what uses it, or let the app listen elsewhere');
  });

  test('is told of an app that handles the error, and ends with code 0', async () => {
    const { reason } = await explained({ uncaught: {}, end: (process) => process.exit(0) });
    assert.match(reason ?? '', /^port 3000 is in use by nginx \(pid 812\) /);
  });

  test('is no cause where the app has found another', async () => {
    const end = (process: FakeProcess): void => {
      process.emit({ kind: 'listening', address: '127.0.0.1:3001' });
      process.exit(1);
    };
    assert.match((await explained({ uncaught: {}, end })).reason ?? '', /^the run ended/);
  });

  test('is told without one that cannot be found', async () => {
    assert.match((await explained({ uncaught: { port: 4000 } })).reason ?? '', /^port 4000 is in use \(/);
  });

  test('may be a unix socket', async () => {
    const socket = { port: -1, address: '/run/api.sock' };
    assert.match((await explained({ uncaught: socket })).reason ?? '', /^\/run\/api\.sock is in use \(/);
  });

  test('is read from the stderr of other programs', async () => {
    const stderr = ['OSError: [Errno 98] Address already in use'];
    const outcome = await explained({ stderr });
    assert.match(outcome.reason ?? '', /^its port is in use \(/);
    assert.deepEqual(outcome.stderr, stderr);
  });

  test('is no cause when another error was', async () => {
    const { reason } = await explained({ stderr: ['EADDRINUSE'], uncaught: { code: 'ENOENT', syscall: 'open' } });
    assert.match(reason ?? '', /^the run ended/);
  });
});

test('a port that needs more rights is told', async () => {
  const { reason, hint } = await explained({ uncaught: { code: 'EACCES', port: 80 } });
  assert.match(reason ?? '', /^no permission to listen on port 80 \(/);
  assert.match(hint ?? '', /^ports below 1024 need root/);
});

describe('an end with code 0', () => {
  test('is told, with how to allow it', async () => {
    const { reason, hint } = await explained({ end: (process) => process.exit(0) });
    assert.match(reason ?? '', /^it ended at once, with code 0: nothing keeps it running \(/);
    assert.equal(hint, 'a job that is meant to end needs --no-autorestart (or stop_exit_codes: [0])');
  });

  test('that leaves processes behind is that of a program that daemonizes', async () => {
    const exit = { code: 0, signal: null };
    const end = (process: FakeProcess): void => process.emit({ kind: 'exited', exit, treeAlive: true });
    const { reason, hint } = await explained({ end });
    assert.match(reason ?? '', /^it put itself into the background .*with code 0, leaving processes behind\)$/);
    assert.match(hint ?? '', /^let it run in the foreground: without --daemon/);
  });
});

describe('wait_ready', () => {
  test('that was waited for in vain is told', async () => {
    const spec = appSpec({ ready: { waitReady: true }, restart: { maxRestarts: 1 } });
    const { reason, hint } = await explained({ spec, end: (process) => process.emit({ kind: 'main-ran' }) });
    assert.match(reason ?? '', /did not send 'ready' within 3000 ms \(wait_ready\)$/);
    assert.equal(hint, "call process.send('ready') when it can serve, or raise --listen-timeout");
  });
});

describe('TypeScript on a Node.js that does not run it', () => {
  for (const line of [
    'TypeError [ERR_UNKNOWN_FILE_EXTENSION]: Unknown file extension ".ts" for /srv/api.ts',
    'TypeError: Unknown file extension ".mts"',
  ])
    test(line.slice(0, 30), async () => {
      const { reason, hint } = await explained({ stderr: [line] });
      assert.match(reason ?? '', /^its Node\.js does not run TypeScript \(/);
      assert.match(hint ?? '', /--import tsx/);
    });

  test('is not suspected of other files', async () => {
    const { reason } = await explained({ stderr: ['Unknown file extension ".css" for /srv/a.css'] });
    assert.match(reason ?? '', /^the run ended/);
  });
});

describe('anything else', () => {
  test('is told as it was, with the last lines and where the rest is', async () => {
    const { reason, hint, stderr } = await explained({ stderr: ['Error: boom', '    at api.js:1'] });
    assert.equal(reason, 'the run ended before 1000 ms of uptime, with code 1');
    assert.deepEqual([hint, stderr], [LOGS, ['Error: boom', '    at api.js:1']]);
  });

  test('that is tried again is told so', async () => {
    const spec = appSpec({ restart: { delayMs: 60_000 } });
    const { reason, hint, again } = await explained({ spec, end: (process) => process.exit(null, 'SIGSEGV') });
    assert.deepEqual([reason, hint, again], ['exited with signal SIGSEGV', LOGS, AGAIN]);
  });
});
