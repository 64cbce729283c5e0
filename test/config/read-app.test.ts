import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { readApp } from '../../src/config/read-app.ts';

const WHERE = 'ecosystem.config.js, app "api"';
const options = (raw: unknown) => readApp(raw, WHERE).options;
const invalid = (message: string | RegExp, hint?: string | null) => ({
  code: 'CONFIG_INVALID',
  message,
  ...(hint === undefined ? {} : { hint }),
});

describe('an option', () => {
  test('is read in its own form', () => {
    const raw = { script: 'app.js', instances: '4', kill_timeout: '5s', args: 'a "b c"', max_restarts: 3 };
    assert.deepEqual(options(raw), {
      script: 'app.js',
      instances: 4,
      kill_timeout: 5000,
      args: ['a', 'b c'],
      max_restarts: 3,
    });
  });

  for (const [key, name, given, meaning] of [
    ['exec', 'script', 'a.js', 'a.js'],
    ['cmd', 'script', 'a.js', 'a.js'],
    ['node_args', 'interpreter_args', '--inspect', ['--inspect']],
    ['nodeArgs', 'interpreter_args', '--inspect', ['--inspect']],
    ['exec_interpreter', 'interpreter', 'bash', 'bash'],
    ['out', 'out_file', 'a.log', 'a.log'],
    ['errFile', 'error_file', 'a.log', 'a.log'],
    ['combine_logs', 'merge_logs', true, true],
    ['logMaxSize', 'log_max_size', '10M', 10 * 1024 ** 2],
    ['log_max_age', 'log_max_age', '90d', 7_776_000_000],
    ['log_max_age', 'log_max_age', '1m', 60_000],
    ['log_max_age', 'log_max_age', 0, 0],
    ['log_max_size', 'log_max_size', '1k', 1024],
    ['log_max_total', 'log_max_total', '0', 0],
    ['log_retain', 'log_retain', 'all', 'all'],
    ['log_syslog', 'log_syslog', true, 'local'],
    ['log_syslog', 'log_syslog', 'udp://[::1]:514', 'udp://[::1]:514'],
    ['log_syslog', 'log_syslog', 'tcp://logs.example', 'tcp://logs.example'],
    ['maxRestarts', 'max_restarts', 1, 1],
    ['expBackoffRestartDelay', 'exp_backoff_restart_delay', 100, 100],
    ['user', 'uid', 1000, '1000'],
    ['killSignal', 'kill_signal', 'term', 'SIGTERM'],
  ] as const)
    test(`is also known as ${key}`, () => assert.deepEqual(options({ [key]: given }), { [name]: meaning }));

  test('that is null or undefined is not given', () => {
    assert.deepEqual(options({ script: 'a.js', instances: null, env: undefined }), { script: 'a.js' });
  });
});

const LOG_AGE = 'expected a minute or more, such as 12h or 30d (a number alone is milliseconds), or 0 for no limit';
const LOG_SIZE = 'expected 1k or more, such as 20M (a number alone is bytes), or 0 for no limit';

describe('a value of the wrong type', () => {
  test('names the key as it was written, what came and what was expected', () => {
    assert.throws(
      () => options({ maxRestarts: 'many' }),
      invalid(`${WHERE}: maxRestarts: expected a whole number, got "many"`),
    );
    assert.throws(
      () => options({ exec_mode: 'thread' }),
      invalid(/exec_mode: expected fork or cluster .*got "thread"$/),
    );
    assert.throws(() => options({ env: 'A=1' }), invalid(`${WHERE}: env: expected an object of variables`));
    assert.throws(() => options({ env_production: 1 }), invalid(/: env_production: expected an object/));
  });

  for (const [key, given, expected] of [
    ['kill_signal', 'SIGFOO', 'expected the name of a signal, such as SIGTERM'],
    ['killSignal', 99, 'expected the name of a signal, such as SIGTERM'],
    ['instances', 1.5, 'expected a whole number or "max"'],
    ['name', '', 'must not be empty'],
    ['namespace', '', 'must not be empty'],
    ['log_max_age', 30, LOG_AGE],
    ['log_max_age', '30', LOG_AGE],
    ['log_max_age', '59s', LOG_AGE],
    ['log_max_age', '30y', LOG_AGE],
    ['log_max_size', 1, LOG_SIZE],
    ['log_max_total', '20', LOG_SIZE],
    ['log_max_total_all', 1023, LOG_SIZE],
  ] as const)
    test(`is told of ${key} ${JSON.stringify(given)}`, () => {
      const message = `${WHERE}: ${key}: ${expected}, got ${JSON.stringify(given)}`;
      assert.throws(() => options({ script: 'a.js', [key]: given }), invalid(message));
    });

  test('is shown shortened', () => {
    const { message } = caught(() => options({ wait_ready: 'x'.repeat(500) }));
    assert.ok(message.length < 200, message);
  });

  test('says so of an app that is no object', () => {
    for (const raw of ['app.js', 1, null, undefined, []])
      assert.throws(() => options(raw), invalid(/: expected an object of options, got /));
  });
});

describe('an unknown key', () => {
  test('names the nearest known one', () => {
    const unknown = `${WHERE}: there is no option "instnaces"`;
    assert.throws(() => options({ instnaces: 2 }), invalid(unknown, 'did you mean instances?'));
    assert.throws(() => options({ node_arg: 'x' }), invalid(/node_arg/, 'did you mean node_args?'));
  });

  test('without a near one points to the list', () => {
    assert.throws(() => options({ colour: 'blue' }), invalid(/colour/, 'docs/configuration.md lists the options'));
  });

  test('is not taken for one that every object has', () => {
    for (const key of ['toString', 'constructor', '__proto__', 'hasOwnProperty'])
      assert.throws(() => options(JSON.parse(`{"${key}": 1}`)), invalid(/there is no option/), key);
  });
});

describe('the values of variables', () => {
  test('are secrets, also where something is wrong with them', () => {
    for (const env of ['SECRET=hunter2', { A: 'hunter2', B: () => 0 }, { 'A=B': 'hunter2' }, { A: 'hunter2\0' }]) {
      for (const key of ['env', 'env_production']) {
        assert.throws(
          () => readApp({ script: 'a.js', [key]: env }, WHERE),
          ({ message }: Error) => message.includes(`: ${key}`) && !message.includes('hunter2'),
        );
      }
    }
  });

  test('name the variable', () => {
    assert.throws(() => readApp({ script: 'a.js', env: { GOOD: 1, BAD: () => 0 } }, WHERE), /: env\.BAD: /);
  });
});

describe('environments', () => {
  test('are kept by name, apart from env', () => {
    const read = readApp({ script: 'a.js', env: { A: 1 }, env_production: { A: 2 }, env_eu_west: { A: 3 } }, WHERE);
    assert.deepEqual(read.environments, { production: { A: '2' }, eu_west: { A: '3' } });
    assert.deepEqual(read.options.env, { A: '1' });
  });
});

describe('options of pm2', () => {
  const warnings = (raw: unknown) => readApp(raw, WHERE).warnings;

  test('that are not there yet are warned of, and ignored', () => {
    assert.deepEqual(warnings({ script: 'a.js', watch: true, port: 3000 }), [
      `${WHERE}: watch is not supported yet, and ignored`,
      `${WHERE}: port is not supported yet, and ignored`,
    ]);
    assert.deepEqual(options({ script: 'a.js', watch: true }), { script: 'a.js' });
  });

  test('that are off need no warning', () => {
    assert.deepEqual(warnings({ watch: false, port: 0, max_memory_restart: 0, cron_restart: 0 }), []);
  });

  test('that mean nothing here are passed over', () => {
    assert.deepEqual(readApp({ pmx: true, vizion: false, windowsHide: true }, WHERE), {
      options: {},
      environments: {},
      warnings: [],
    });
  });
});

function caught(action: () => unknown): Error {
  try {
    action();
  } catch (error) {
    return error as Error;
  }
  throw new Error('nothing was thrown');
}
